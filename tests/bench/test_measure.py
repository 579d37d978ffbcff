"""Real files measured in real child processes, and what is said about those that cannot be."""

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from toolkit.bench.measure import BenchQuestion, BenchRow, bench_file
from toolkit.bench.memory import watch
from toolkit.bench.stage import bench
from toolkit.bench.table import plot, to_csv, to_json
from toolkit.errors import ToolkitError, UsageError
from toolkit.hosts import ChildProcesses

DATA = Path(__file__).parents[1] / "edge" / "data"
DOUBLE = (DATA / "double.tflite").read_bytes()
VALUES = np.arange(-3, 4, dtype=np.float32)[:, None]  # seven samples
QUICK = BenchQuestion(seconds=0.05)


def dense(width=3, batch="n", weight=1.0):
    """The bytes of an ONNX file: y = x * W, W the unit matrix times `weight`."""
    kind = TensorProto.FLOAT
    x, y = (helper.make_tensor_value_info(name, kind, [batch, width]) for name in "xy")
    w = numpy_helper.from_array((np.eye(width) * weight).astype(np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [w])
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def judged(**options):
    """The question of which of three numbers is greatest, for seven samples."""
    inputs = {"x": np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2, 0]]}
    targets = np.array([0, 1, 2, 0, 1, 2, 1])  # the last is wrong
    fields = {"inputs": inputs, "targets": targets, "metric": "accuracy", "decision": "argmax"}
    return BenchQuestion(**{**fields, "reference": {"y": inputs["x"]}, "seconds": 0.05, **options})


def test_a_row_without_data():
    row = bench_file(DOUBLE, "double.tflite", QUICK)
    assert (row.file, row.bytes, row.threads, row.batch) == ("double.tflite", len(DOUBLE), 1, 1)
    assert row.runtime.startswith("LiteRT ")
    assert row.runs >= 5
    assert 0 < row.p50_us <= row.p90_us <= row.p99_us
    assert row.load_ms > 0
    assert row.samples_per_s > 0
    assert (row.metric, row.score, row.agreement, row.samples) == ("", None, None, 0)
    assert row.reason == ""


def test_a_bench_never_takes_longer_than_it_may():
    row = bench_file(dense(), "m.onnx", replace(QUICK, seconds=1e-9))
    assert (row.runs, row.stable) == (1, False)


def test_the_metric_and_the_agreement():
    row = bench_file(dense(), "m.onnx", judged())
    assert (row.metric, row.samples) == ("accuracy", 7)
    assert row.score == pytest.approx(6 / 7)
    assert row.agreement == 1.0
    turned = bench_file(dense(weight=-1.0), "m.onnx", judged())
    assert turned.score == pytest.approx(1 / 7)  # of [-1, 0, 0] the first zero is the greatest
    assert turned.agreement == 0.0


def test_values_agree_within_the_tolerance():
    question = BenchQuestion(
        {"x": VALUES}, VALUES * 2, {"y": VALUES * 2.1}, "mae", tolerance=0.15, seconds=0.01
    )
    row = bench_file(DOUBLE, "d", question)
    assert (row.metric, row.score) == ("mae", 0.0)
    assert row.agreement == pytest.approx(3 / 7)  # -1, 0 and 1
    assert bench_file(DOUBLE, "d", replace(question, targets=None)).score is None


def test_a_batch_and_a_fixed_batch():
    assert bench_file(DOUBLE, "d", replace(QUICK, batch=32)).batch == 32
    fixed = dense(batch=4)
    row = bench_file(fixed, "m.onnx", judged(batch=5))
    assert row.batch == 8
    assert row.score == pytest.approx(6 / 7)  # the last batch, of three, was filled up
    assert (row.agreement, row.samples) == (1.0, 7)


def test_more_samples_than_run_at_once():
    many = np.random.default_rng(0).random((1000, 3), np.float32)
    question = judged(inputs={"x": many}, targets=many.argmax(axis=1), reference={})
    assert bench_file(dense(batch=3), "m.onnx", question).score == 1.0


def test_integers_that_stand_for_float32_are_judged_as_float32():
    from edge.manifest import Manifest
    from edge.manifest_tflite import append_to_tflite
    from edge.tensor import Tensor

    manifest = Manifest(
        "double", "tf", "tflite", "int8",
        (Tensor("x", (None, 1), "float32", (0.007843137718737125, -1)),),
        (Tensor("y", (None, 1), "float32", (0.01568627543747425, -1)),),
    )  # fmt: skip
    content = append_to_tflite((DATA / "int8.tflite").read_bytes(), manifest)
    question = BenchQuestion({"x": VALUES / 3}, VALUES * 2 / 3, metric="mae", seconds=0.01)
    assert 0 < bench_file(content, "i", question).score < 0.016


@pytest.mark.parametrize(
    ("content", "question", "words"),
    [
        (b"", QUICK, "m: the file is empty"),
        (DOUBLE[:300], QUICK, "m: LiteRT .* cannot read the file"),
        (dense(), judged(inputs={"z": VALUES}), "m: no input is called 'z'"),
        (dense(), judged(inputs={"x": VALUES}), r"m: input x float32\[n, 3\]: got an array of"),
        (dense(), judged(reference={"z": VALUES}), "m: the reference has no output 'y', only z"),
        (dense(), judged(targets=np.zeros(3)), "m: "),
    ],
)
def test_what_does_not_fit_is_refused(content, question, words):
    with pytest.raises(UsageError, match=words) as caught:
        bench_file(content, "m", question)
    assert "/tmp" not in str(caught.value)


def test_a_runtime_that_is_missing_is_no_mistake_of_the_user(monkeypatch):
    for package in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ToolkitError, match=r"no runtime for \.tflite") as caught:
        bench_file(DOUBLE, "m", QUICK)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("options", [{"batch": 0}, {"threads": 0}, {"seconds": 0.0}])
def test_options_are_checked(options):
    with pytest.raises(UsageError, match=r"is 0.*; it must be above 0"):
        BenchQuestion(**options)
    with pytest.raises(UsageError, match="differ in their number of samples"):
        BenchQuestion(inputs={"a": VALUES, "b": VALUES[:2]})


def test_the_peak_is_seen_after_it_is_gone():
    with watch() as growth:
        bytearray(64 << 20)
    assert growth.bytes == pytest.approx(64 << 20, rel=0.2)
    with watch() as nothing:
        pass
    assert nothing.bytes < 8 << 20


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Three files, measured in child processes: a good one, a damaged one, a large one."""
    folder = tmp_path_factory.mktemp("bench")
    files = {"good.onnx": dense(), "bad.onnx": dense()[:40], "large.onnx": dense(3, weight=2.0)}
    with ChildProcesses() as children:
        return bench(files, judged(), children, lambda name: folder / f"{name}.log")


def test_a_file_that_fails_does_not_spoil_the_others(rows):
    assert [row.file for row in rows] == ["good.onnx", "bad.onnx", "large.onnx"]
    good, bad, large = rows
    assert (good.score, large.score) == (pytest.approx(6 / 7), pytest.approx(6 / 7))
    assert good.memory_bytes > 10 << 20  # a runtime at least
    assert bad.reason.startswith("no .tflite or .onnx model, or damaged")
    assert (bad.p50_us, bad.score, bad.runtime) == (None, None, "")


def test_memory_grows_with_the_model(tmp_path):
    small, large = dense(4), dense(2500)  # 25 MB of weights
    with ChildProcesses() as children:
        first, second = bench(
            {"small": small, "large": large}, QUICK, children, lambda name: tmp_path / name
        )
    assert second.memory_bytes - first.memory_bytes > 20 << 20


def test_rows_as_csv_and_json(rows):
    table = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert [line["file"] for line in table] == ["good.onnx", "bad.onnx", "large.onnx"]
    assert float(table[0]["score"]) == rows[0].score
    assert (table[1]["score"], table[1]["p50_us"]) == ("", "")
    assert json.loads(json.dumps(to_json(rows)))[0]["agreement"] == 1.0


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_plot(rows, tmp_path, kind):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"plot.{kind}"
    plot(rows, path)
    content = path.read_bytes()
    plot(rows, path)
    assert path.read_bytes() == content
    if kind == "png":
        assert content.startswith(b"\x89PNG")
    else:
        text = content.decode()
        for word in ("accuracy", "p50 latency, ms", "size of the file, kB", "good.onnx"):
            assert f">{word}</text>" in text
        assert "bad.onnx" not in text


def test_agreement_is_plotted_where_there_is_no_metric(tmp_path):
    pytest.importorskip("matplotlib")
    row = BenchRow("a", 10, 1, p50_us=5.0, agreement=0.5)
    plot([row], tmp_path / "a.svg")
    assert ">agreement</text>" in (tmp_path / "a.svg").read_text()


def test_what_cannot_be_plotted(rows, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"plot.gif: a plot is written as .svg or .png"):
        plot(rows, tmp_path / "plot.gif")
    with pytest.raises(UsageError, match="nothing can be plotted; give samples"):
        plot(rows[1:2], tmp_path / "plot.svg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'edge-deployment-toolkit\[plot\]'"):
        plot(rows, tmp_path / "plot.svg")
    assert list(tmp_path.iterdir()) == []
