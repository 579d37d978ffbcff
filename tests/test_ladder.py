"""The precision ladder: the first rung that passes is kept, and the others say why not."""

from concurrent.futures import Future

import numpy as np
import pytest

from toolkit.artifacts import Check
from toolkit.data.evidence import Calibration
from toolkit.errors import CheckError, ConversionError, DataError
from toolkit.export.request import Request
from toolkit.export.stage import Base
from toolkit.ladder import RUNGS, climb
from toolkit.runs import Run
from toolkit.source import RecipeSource

SAMPLES = Calibration({}, np.arange(3), "c0ffee")
RECIPE = "from toolkit import Recipe\nrecipe = Recipe('job', dict, torch=dict)"


class Exporter:
    """The interface of `toolkit.export.stage.Exporter`; precisions are bytes."""

    def __init__(self, run, broken=()):
        self.run, self.broken = run, broken
        self.request = Request(("tflite", "onnx"), RUNGS)
        self.made = []

    def convert(self):
        done = Future()
        done.set_result(Base({"": b"fp32"}, None, "", 1.0))
        return {("torch", "tflite"): done, ("torch", "onnx"): done}

    def quantise(self, cell, base, precision, calibration):
        self.made.append((cell[1], precision))
        return precision

    def finish(self, cell, precision, future, calibration):
        from toolkit.artifacts import Export

        if precision in self.broken:
            raise ConversionError(f"cannot make {precision}\nlog")
        name = self.request.file_name("job", *cell, precision)
        self.run.write(f"exports/{name}", precision.encode())
        return Export(f"exports/{name}", *cell, precision, None, 4, "0", 0.1)


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path, "job", RecipeSource(RECIPE, "job.py"), {})


def judge(*good):
    """Checks that pass for these (target, precision)."""

    def verdicts(exports):
        return [
            Check(e.file, e.framework, e.target, "runtime", None, 0.1, 0.9, ok, "" if ok else "bad")
            for e in exports
            for ok in [(e.target, e.precision) in good]
        ]

    return verdicts


def test_each_target_stops_at_its_first_good_rung_and_keeps_that_file_alone(run):
    exporter = Exporter(run)
    rungs = climb(exporter, SAMPLES, judge(("tflite", "16x8"), ("onnx", "int8")))
    assert [(rung.target, rung.precision, rung.reason) for rung in rungs] == [
        ("tflite", "int8", "bad"),
        ("onnx", "int8", ""),
        ("tflite", "int8-float", "bad"),
        ("tflite", "16x8", ""),
    ]
    assert sorted(export.file for export in run.exports) == [
        "exports/job-torch-16x8.tflite",
        "exports/job-torch-int8-opset18.onnx",
    ]
    assert len(list((run.path / "exports").iterdir())) == 2


def test_a_rung_that_cannot_be_made_is_told_and_passed_over(run):
    rungs = climb(
        Exporter(run, broken=("int8",)),
        SAMPLES,
        judge(("tflite", "int8-float"), ("onnx", "int8-float")),
    )
    assert [(rung.precision, rung.reason) for rung in rungs[:2]] == [
        ("int8", "cannot make int8")
    ] * 2
    assert {export.precision for export in run.exports} == {"int8-float"}


def test_without_samples_static_rungs_say_so(run):
    exporter = Exporter(run)
    good = judge(("tflite", "dynamic"), ("onnx", "dynamic"))
    rungs = climb(exporter, DataError("needs samples"), good)
    assert {rung.reason for rung in rungs if rung.precision in ("int8", "16x8")} == {
        "needs samples"
    }
    assert exporter.made == [("tflite", "dynamic"), ("onnx", "dynamic")]


def test_where_not_even_fp32_is_good_enough_the_command_fails(run):
    with pytest.raises(CheckError, match="no precision is good enough: torch to tflite: bad"):
        climb(Exporter(run), SAMPLES, judge(("onnx", "fp32")))
    assert [export.file for export in run.exports] == ["exports/job-torch-fp32-opset18.onnx"]


def test_a_folder_that_is_not_good_enough_goes_as_a_whole(run):
    run.replace("exports/job-tf-int8-micro", {"model.h": b"", "more/model.c": b""})
    run.drop_exports(["exports/job-tf-int8-micro"])
    assert list((run.path / "exports").iterdir()) == []


def test_the_run_keeps_what_was_tried_even_where_nothing_passed(run):
    with pytest.raises(CheckError):
        climb(Exporter(run), SAMPLES, judge(("onnx", "fp32")))
    kept = run.facts["ladder"]
    assert [row["precision"] for row in kept if row["target"] == "onnx"][-1] == "fp32"
    assert {row["reason"] for row in kept if row["target"] == "tflite"} == {"bad"}
    climb(Exporter(run), SAMPLES, judge(("tflite", "int8"), ("onnx", "int8")))  # in their place
    assert [(row["target"], row["reason"]) for row in run.facts["ladder"]] == [
        *(("tflite", ""), ("onnx", ""))
    ]
