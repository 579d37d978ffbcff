"""The verification stage on a run directory with real files, its hosts replaced by this process."""

import json
import sys
import types
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ModelError
from toolkit.artifacts import Golden, Run
from toolkit.errors import CheckError, NotFoundError
from toolkit.hosts import Host, HostError
from toolkit.source import RecipeSource
from toolkit.verify.stage import verify
from toolkit.verify.tflite_onnx import tflite_to_onnx

TFLITE = Path(__file__).parents[1] / "edge" / "data" / "double.tflite"
RECIPE = """
from toolkit import Probe, Recipe
recipe = Recipe("job", dict, torch=dict, probe=Probe(4.0, 8.0, 0.05), input_name="x",
                output_name="y")
"""


class Here(Host):
    """Runs functions in this process; `answers` replaces some of them."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def submit(self, function, *args, log):
        self.asked.append((function.__name__, log.name))
        future = Future()
        try:
            future.set_result(self.answers.get(function.__name__, function)(*args))
        except Exception as error:  # noqa: BLE001 - as a host does
            future.set_exception(error)
        return future


@pytest.fixture
def run(tmp_path, golden):
    """A trained run without exported files."""
    run = Run.create(tmp_path, "job", RecipeSource(RECIPE, "job.py"), {})
    run.write("torch/golden.npz", golden.to_bytes())
    run.record_framework("torch", {})
    return run


@pytest.fixture
def add(run, export_of):
    """Put an exported file into the run."""

    def add(content, name="job.onnx", **fields):
        run.write(f"exports/{name}", content)
        run.add_exports([export_of(content, f"exports/{name}", **fields)])

    return add


def dead(*_):
    raise HostError("killed by SIGSEGV")


def test_right_files_pass_in_every_runtime(run, add, onnx_file):
    add(onnx_file())
    add(TFLITE.read_bytes(), "job.tflite", target="tflite")
    host, tensorflow = Here(), Here(tflite_to_onnx=lambda _: onnx_file())
    onnx, tflite, via = verify(run, host, tensorflow)
    assert [check.passed for check in (onnx, tflite, via)] == [True] * 3
    assert {check.probe for check in (onnx, tflite, via)} == {8.0}
    assert onnx.runtime.startswith("onnxruntime ")
    assert tflite.runtime.startswith("LiteRT ")
    assert via.runtime == f"{onnx.runtime} via tf2onnx"
    assert (tflite.file, via.file) == ("exports/job.tflite", "exports/job.tflite")
    assert [name for name, _ in host.asked] == ["check"] * 3
    assert len({log for _, log in host.asked}) == 3  # each has a log of its own
    assert [name for name, _ in tensorflow.asked] == ["tflite_to_onnx"]
    written = json.loads((run.path / "verification.json").read_text())
    assert written == run.verification
    assert (written["run"], written["passed"], len(written["checks"])) == (run.name, True, 3)


def test_a_wrong_file_fails_alone(run, add, onnx_file):
    add(onnx_file())
    add(onnx_file(factor=3.0), "wrong.onnx")
    right, wrong = verify(run, Here(), Here())
    assert (right.passed, wrong.passed) == (True, False)
    assert "error" in wrong.reason
    assert run.verification["passed"] is False


@pytest.mark.parametrize("target", ["onnx", "tflite"])
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_file_that_changed_after_export_fails_in_every_runtime(
    run, add, onnx_file, target, damage
):
    content = onnx_file() if target == "onnx" else TFLITE.read_bytes()
    add(content, f"job.{target}", target=target)
    add(onnx_file(), "other.onnx")
    path = run.path / "exports" / f"job.{target}"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content + b"\0")  # runtimes would not notice
    tensorflow = Here(tflite_to_onnx=lambda _: onnx_file())
    *bad, good = verify(run, Here(), tensorflow)
    assert len(bad) == (1 if target == "onnx" else 2)
    for check in bad:
        assert not check.passed
        assert ("lacks" if damage == "missing" else "SHA-256 differs") in check.reason
    assert good.passed
    assert not tensorflow.asked


def test_a_crashed_runtime_is_a_failed_check(run, add, onnx_file):
    add(onnx_file())
    (check,) = verify(run, Here(check=dead), Here())
    assert (check.passed, check.reason) == (False, "killed by SIGSEGV")
    assert check.runtime == "onnxruntime"


def test_a_failed_conversion_fails_that_runtime_only(run, add):
    add(TFLITE.read_bytes(), "job.tflite", target="tflite")
    tflite, via = verify(run, Here(), Here(tflite_to_onnx=dead))
    assert tflite.passed
    assert (via.passed, via.reason) == (False, "killed by SIGSEGV")
    assert via.runtime == "onnxruntime via tf2onnx"


def test_a_wrong_conversion_is_told_from_a_wrong_file(run, add, onnx_file):
    add(TFLITE.read_bytes(), "job.tflite", target="tflite")
    tflite, via = verify(run, Here(), Here(tflite_to_onnx=lambda _: onnx_file(3.0)))
    assert (tflite.passed, via.passed) == (True, False)


def test_a_run_without_files_is_refused(run):
    with pytest.raises(NotFoundError, match=f"{run.name} has no exported files"):
        verify(run, Here(), Here())
    assert run.verification is None


def test_a_reference_that_proves_nothing_fails_the_run(run, add, onnx_file, golden):
    zero = Golden(golden.inputs, {"y": np.zeros((9, 1))}, golden.targets)
    run.write("torch/golden.npz", zero.to_bytes())
    add(onnx_file(factor=0.0))
    with pytest.raises(CheckError, match=r"torch: .*zero everywhere.*proves nothing"):
        verify(run, Here(), Here())
    assert run.verification is None


def test_preprocessing_is_applied_to_what_files_are_asked(tmp_path, onnx_file, export_of, golden):
    text = RECIPE.replace(
        '"job", ', '"job", preprocessing=({"step": "scale", "factor": 2},), data='
    )
    run = Run.create(tmp_path, "job", RecipeSource(text, "job.py"), {})
    run.write("torch/golden.npz", golden.to_bytes())
    run.record_framework("torch", {})
    content = onnx_file(factor=1.0)  # the model sees 2x and answers it
    run.write("exports/job.onnx", content)
    run.add_exports([export_of(content)])
    (check,) = verify(run, Here(), Here())
    assert (check.passed, check.probe) == (True, 8.0)


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(100)])
def test_what_is_no_tflite_file_is_refused_by_name(content, monkeypatch):
    """The converter itself is not loaded: that would load TensorFlow."""

    def fail(*_, **__):
        raise ValueError("unpack_from requires a buffer")

    fake = types.SimpleNamespace(convert=types.SimpleNamespace(from_tflite=fail))
    monkeypatch.setitem(sys.modules, "tf2onnx", fake)
    with pytest.raises(ModelError, match="tf2onnx cannot convert it: unpack_from"):
        tflite_to_onnx(content)
