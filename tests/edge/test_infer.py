"""The command line, mostly in this process; as a process where that is the point."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge import infer
from edge.tensor import Tensor

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(capfd):
    """Run the command line; gives exit code, stdout and stderr."""

    def call(*argv):
        try:
            code = infer.main([str(argument) for argument in argv])
        except SystemExit as stop:
            code = stop.code
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize("start", [["edge/infer.py"], ["-m", "edge.infer"]])
@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_as_a_process(request, start, kind):
    path = request.getfixturevalue(kind)()
    done = subprocess.run(
        [sys.executable, *start, path, "--input", "4.0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "8\n", "")


def test_errors_of_a_process(tmp_path):
    command = [sys.executable, ROOT / "edge" / "infer.py", "none.onnx", "--input", "4.0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: none.onnx: No such file")
    assert "Traceback" not in done.stderr


def test_a_line_a_sample(double, run):
    assert run(double(), "--input", "[1, 2.5]") == (0, "2\n5\n", "")


def test_json(double, run):
    path = double()
    code, out, _ = run(path, "--input", "[1,2]", "--json")
    result = json.loads(out)
    assert (code, out.count("\n")) == (0, 1)
    assert result.pop("runtime")
    assert result == {
        "model": str(path),
        "outputs": {"y": [[2.0], [4.0]]},
        "answers": None,
        "labels": None,
    }


def test_json_knows_no_infinity(onnx, run):
    code, out, _ = run(onnx(), "--input", "[3e38, 1]", "--json")
    assert code == 0
    assert json.loads(out)["outputs"] == {"y": [[None], [2.0]]}


def test_labels_and_scores(onnx, run, describe):
    tensors = {"inputs": (Tensor("x", (None, 3), "float32"),)}
    tensors["outputs"] = (Tensor("y", (None, 3), "float32"),)
    manifest = describe(
        **tensors,
        decision="argmax",
        labels=("a", "b", "c"),
        preprocessing={"x": [{"step": "scale", "factor": 10}]},
    )
    path = onnx(columns=3, manifest=manifest)
    assert run(path, "--input", "[[1,2,3],[6,5,4]]")[1] == "c  (score 60)\na  (score 120)\n"
    assert run(path, "--input", "[1,2,3]", "--no-preprocess")[1] == "c  (score 6)\n"
    result = json.loads(run(path, "--input", "[1,2,3]", "--json")[1])
    assert (result["answers"], result["labels"]) == ([2], ["c"])


@pytest.mark.parametrize(
    ("step", "score"),
    [
        ({"step": "softmax"}, "0.999955"),
        ({"step": "argmax"}, "12"),  # no score: the output's own is shown
    ],
)
def test_the_score_is_what_postprocessing_makes_of_the_output(onnx, run, describe, step, score):
    tensors = {"inputs": (Tensor("x", (None, 2), "float32"),)}
    tensors["outputs"] = (Tensor("y", (None, 2), "float32"),)
    manifest = describe(**tensors, decision="argmax", labels=("no", "yes"), postprocessing=[step])
    path = onnx(columns=2, manifest=manifest)
    assert run(path, "--input", "[1,6]")[1] == f"yes  (score {score})\n"


def test_sign_without_labels(onnx, run, describe):
    assert run(onnx(manifest=describe(decision="sign")), "--input", "[-1,1]")[1] == (
        "0  (score -2)\n1  (score 2)\n"
    )


def test_values(onnx, run, describe):
    assert run(onnx(manifest=describe()), "--input", "4.00015")[1] == "8.0003\n"


def test_several_inputs(tflite, run):
    path = tflite("two")
    code, out, _ = run(path, "--input", "a=[1,2]", "--input", "b=[[3,4]]")
    assert (code, out) == (0, "apart: 2 2\ntotal: 4 6\n")


def test_input_from_files_and_standard_input(onnx, run, tmp_path, monkeypatch):
    np.save(tmp_path / "in=put.npy", np.array([1.0, 2.0]))
    assert run(onnx(), "--input", tmp_path / "in=put.npy")[1] == "2\n4\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("value\n3\n"))
    assert run(onnx(), "--input", "-")[1] == "6\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--input is missing; the model takes:\n  a float32[n, 2]\n  b float32[n, 2]"),
        (["--input", "[1,2]"], "write NAME=VALUE"),
        (["--input", "c=[1,2]"], "write NAME=VALUE"),
        (["--input", "a=[1,2]"], "no value for b"),
        (["--input", "a=1", "--input", "a=2"], "a is given twice"),
        (["--input", "a=-", "--input", "b=-"], "read only once"),
        (["--input", "a=[1,2,3]", "--input", "b=[1,2]"], "input a: expected one sample"),
        (["--input", "a=x", "--input", "b=[1,2]"], "input 'x' is none of them"),
        (["--threads", "0"], "'0' is not a number from 1 on"),
        (["--bench", "0"], "'0' is not a number of seconds"),
        (["--bench", "inf"], "'inf' is not a number of seconds"),
    ],
)
def test_bad_usage_and_input_is_two(tflite, run, arguments, words):
    code, out, err = run(tflite("two"), *arguments)
    assert (code, out) == (2, "")
    assert "error: " in err
    assert words in err


def test_a_bad_model_is_two(run, tmp_path, tflite):
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    for path in (tmp_path / "bad.onnx", tmp_path, tflite("flex")):
        code, out, err = run(path, "--input", "1")
        assert (code, out) == (2, "")
        assert err.startswith(f"error: {path}: ")


def test_a_broken_runtime_is_three(onnx, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, out, err = run(onnx(), "--input", "1")
    assert (code, out) == (3, "")
    assert "pip install onnxruntime" in err
    assert "Traceback" not in err
    assert "Traceback" in run(onnx(), "--input", "1", "--debug")[2]


def test_the_unforeseen_is_three(onnx, run, monkeypatch):
    monkeypatch.setattr("edge.run.answer", lambda *_, **__: 1 / 0)
    code, _, err = run(onnx(), "--input", "1")
    assert (code, err) == (3, "error: ZeroDivisionError: division by zero (try --debug)\n")


def test_bench(double, run):
    code, out, _ = run(double(), "--bench", "0.01")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == [
        "load", "p50", "p90", "p99", "throughput",
    ]  # fmt: skip
    result = json.loads(run(double(), "--bench", "0.01", "--input", "[1,2,3]", "--json")[1])
    assert result["outputs"]["y"] == [[2], [4], [6]]
    bench = result["bench"]
    assert (bench["samples"], bench["runs"] >= 1) == (3, True)
    assert 0 < bench["p50_us"] <= bench["p90_us"] <= bench["p99_us"]
    assert bench["load_ms"] > 0
    assert bench["samples_per_s"] > 0
