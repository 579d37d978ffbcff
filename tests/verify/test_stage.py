"""The verification stage on a run directory with real files, its hosts replaced by this process."""

import json
import sys
import types
from concurrent.futures import Future
from pathlib import Path

import flatbuffers
import numpy as np
import pytest

from edge.errors import ModelError
from edge.runtime import load
from toolkit.artifacts import Golden, files_hash
from toolkit.card import Card
from toolkit.errors import CheckError, NotFoundError
from toolkit.hosts import ChildProcesses, Host, HostError
from toolkit.runs import Run
from toolkit.source import RecipeSource
from toolkit.verify import stage
from toolkit.verify.check import Evaluation
from toolkit.verify.stage import Verifier
from toolkit.verify.tflite_onnx import tflite_to_onnx

RECIPE = """
from toolkit import Probe, Recipe
recipe = Recipe("job", dict, torch=dict, probe=Probe(4.0, 8.0, 0.05), input_name="x",
                output_name="y")
"""


@pytest.fixture(autouse=True)
def blame(monkeypatch):
    """Failures are not explained, which loads frameworks: blame(function) explains them so."""
    monkeypatch.setattr(stage, "explain", lambda *_: "")
    return lambda explain: monkeypatch.setattr(stage, "explain", explain)


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


def verify(run, host, tensorflow, **limits):
    return Verifier(run, host, tensorflow, **limits).verify()


def dead(*_):
    raise HostError("killed by SIGSEGV")


def test_right_files_pass_in_every_runtime(run, add, onnx_file, tflite_file):
    add(onnx_file())
    add(tflite_file(), "job.tflite", target="tflite")
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
    run, add, onnx_file, tflite_file, target, damage
):
    content = onnx_file() if target == "onnx" else tflite_file()
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


def test_a_failed_conversion_fails_that_runtime_only(run, add, tflite_file):
    add(tflite_file(), "job.tflite", target="tflite")
    tflite, via = verify(run, Here(), Here(tflite_to_onnx=dead))
    assert tflite.passed
    assert (via.passed, via.reason) == (False, "killed by SIGSEGV")
    assert via.runtime == "onnxruntime via tf2onnx"


def test_a_wrong_conversion_is_told_from_a_wrong_file(run, add, onnx_file, tflite_file):
    add(tflite_file(), "job.tflite", target="tflite")
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
    steps = [{"step": "scale", "factor": 2}]
    content = onnx_file(factor=1.0, preprocessing={"x": steps})  # the model sees 2x: answers it
    run.write("exports/job.onnx", content)
    run.add_exports([export_of(content)])
    (check,) = verify(run, Here(), Here())
    assert (check.passed, check.probe) == (True, 8.0)


METRIC = RECIPE.replace("torch=dict", 'torch=dict, metrics=("mae",), decision="value"')


@pytest.fixture
def scored(tmp_path, golden, onnx_file, export_of):
    """A run whose recipe has a metric, with a file that is off by 0.1 %, in fp16."""
    run = Run.create(tmp_path, "job", RecipeSource(METRIC, "job.py"), {})
    run.write("torch/golden.npz", golden.to_bytes())
    run.record_framework("torch", {})
    content = onnx_file(2.002)
    run.write("exports/job.onnx", content)
    run.add_exports([export_of(content, precision="fp16")])
    return run


def test_the_metric_is_that_of_the_golden_vectors_or_of_the_whole_split(scored, golden):
    (check,) = verify(scored, Here(), Here())
    assert (check.metric, check.samples, check.before) == ("mae", 9, 0)
    assert 0 < check.low <= check.drop <= check.high
    assert check.passed
    assert check.snr == pytest.approx(60, abs=0.1)
    x = np.linspace(-3, 3, 500, dtype=np.float32)[:, None]
    whole = Evaluation({"x": x}, {"y": 2 * x}, 2 * x + 1)
    (check,) = verify(scored, Here(), Here(), evaluation={"torch": whole})
    assert (check.samples, check.before) == (500, pytest.approx(1))
    assert scored.verification["checks"][0]["samples"] == 500
    (check,) = verify(scored, Here(), Here(), evaluation={"torch": None, "tf": whole})
    assert check.samples == 9


def test_own_limits_are_kept(scored):
    (check,) = verify(scored, Here(), Here(), max_drop=0.0)
    assert check.reason.startswith("mae drops by 0.09%")
    (check,) = verify(scored, Here(), Here(), min_agreement=1.1)
    assert "of the values moved" in check.reason


def test_checking_some_files_writes_and_explains_nothing(run, add, onnx_file, blame):
    blame(lambda *_: "never called")
    add(onnx_file(factor=3.0), "wrong.onnx")
    add(onnx_file())
    verifier = Verifier(run, Here(), Here())
    (check,) = verifier.check([run.exports[0]])
    assert (check.file, check.passed, check.blame) == ("exports/wrong.onnx", False, "")
    assert verifier.check([]) == []
    assert run.verification is None


def test_failures_are_explained(run, add, onnx_file, blame):
    asked = []

    def explain(*arguments):
        asked.append(arguments)
        return "the exporter"

    blame(explain)
    add(onnx_file())
    add(onnx_file(factor=3.0), "wrong.onnx")
    add(onnx_file(), "changed.onnx", sha256="0" * 64)
    host = Here()
    right, wrong, changed = verify(run, host, Here())
    assert (right.blame, wrong.blame, changed.blame) == ("", "the exporter", "")
    ((of_run, export, check, children),) = asked
    assert (of_run, export, children) == (run, run.exports[1], host)
    assert (check.passed, check.blame) == (False, "")
    assert run.verification["checks"][1]["blame"] == "the exporter"


def test_an_explanation_that_fails_is_left_out(run, add, onnx_file, blame):
    blame(lambda *_: 1 / 0)
    add(onnx_file(factor=3.0))
    (check,) = verify(run, Here(), Here())
    assert (check.passed, check.blame) == (False, "")


@pytest.mark.parametrize("precision", ["fp16", "int8", "16x8"])
def test_only_fp32_files_of_tflite_have_a_second_runtime(run, add, tflite_file, precision):
    add(tflite_file(), "job.tflite", target="tflite", precision=precision)
    tensorflow = Here()
    (check,) = verify(run, Here(), tensorflow)
    assert check.passed
    assert check.runtime.startswith("LiteRT ")
    assert not tensorflow.asked


def test_a_folder_is_hashed_whole(run, export_of):
    files = {"1/saved_model.pb": b"model", "1/variables/variables.index": b"index"}
    run.replace("exports/job-savedmodel", files)
    export = export_of(b"", "exports/job-savedmodel", target="savedmodel", sha256=files_hash(files))
    run.add_exports([export])
    host = Here(check=dead)
    (check,) = verify(run, host, Here())
    assert (check.runtime, check.reason) == ("tf.saved_model", "killed by SIGSEGV")
    run.write("exports/job-savedmodel/1/variables/more", b"")
    (check,) = verify(run, host, Here())
    assert "SHA-256 differs" in check.reason


def test_a_model_from_elsewhere(tmp_path, onnx_file, export_of):
    """Its targets are unknown, its file has no manifest, and nobody set a tolerance."""
    unit = 1e15
    x = unit * np.linspace(-3, 3, 9, dtype=np.float32)[:, None]
    card = Card("job", input_name="in", metrics=("mae",))
    run = Run.adopt(tmp_path, card, {"model": {"framework": "onnx"}})
    run.write("onnx/golden.npz", Golden({"in": x}, {"out": 2 * x}, np.zeros(9)).to_bytes())
    run.record_framework("onnx", {})
    content = onnx_file(2.02, names=False)
    run.write("exports/job.onnx", content)
    run.add_exports([export_of(content, framework="onnx", precision="int8")])
    (check,) = verify(run, Here(), Here())
    assert (check.passed, check.kept, check.metric, check.drop) == (True, 1, "", None)
    whole = Evaluation({"in": x}, {"out": 2 * x}, 2 * x)
    (check,) = verify(run, Here(), Here(), evaluation={"onnx": whole})
    assert (check.metric, check.samples) == ("mae", 9)
    assert check.drop == pytest.approx(0.0086, abs=1e-3)


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(100)])
def test_what_is_no_tflite_file_is_refused_by_name(content, monkeypatch):
    """The converter itself is not loaded: that would load TensorFlow."""

    def fail(*_, **__):
        raise ValueError("unpack_from requires a buffer")

    fake = types.SimpleNamespace(convert=types.SimpleNamespace(from_tflite=fail))
    monkeypatch.setitem(sys.modules, "tf2onnx", fake)
    with pytest.raises(ModelError, match="tf2onnx cannot convert it: unpack_from"):
        tflite_to_onnx(content)


def test_names_of_the_signature_stay_where_there_is_no_manifest(tmp_path, pytestconfig):
    """two.tflite has total = a + b and apart = b - a, and calls them otherwise inside."""
    content = (pytestconfig.rootpath / "tests" / "edge" / "data" / "two.tflite").read_bytes()
    with ChildProcesses() as children:
        future = children.submit(tflite_to_onnx, content, log=tmp_path / "log")
        path = tmp_path / "two.onnx"
        path.write_bytes(future.result())
    a, b = np.float32([[1, 2]]), np.float32([[10, 20]])
    outputs = load(path).predict({"b": b, "a": a})
    assert outputs["total"].tolist() == [[11, 22]]
    assert outputs["apart"].tolist() == [[9, 18]]


def flattening() -> bytes:
    """A .tflite file of y [2, 1] = 2 x + 7, x [2, 1, 1]."""
    from ai_edge_litert import schema_py_generated as schema

    content = (Path(__file__).parents[1] / "edge" / "data" / "fixed.tflite").read_bytes()
    tree = schema.ModelT.InitFromPackedBuf(content, 0)  # y [2, 1] = 2 x, x [2, 1]
    (graph,), (product,), (code,) = tree.subgraphs, tree.subgraphs[0].operators, tree.operatorCodes
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    product.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    product.builtinOptions = schema.FullyConnectedOptionsT()
    x, weights, _ = graph.tensors
    x.shape, weights.shape = [2, 1, 1], [1, 1]
    bias, seven = schema.TensorT(), schema.BufferT()
    bias.shape, bias.name, bias.buffer = [1], "bias", len(tree.buffers)
    seven.data = list(np.float32([7]).tobytes())
    graph.tensors.append(bias)
    tree.buffers.append(seven)
    product.inputs = [0, 1, 3]
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_biases_of_steps_reach_the_second_runtime(tmp_path):
    """tf2onnx drops them where a fully connected operator flattens its input's leading axes."""
    first, second = tmp_path / "flat.tflite", tmp_path / "flat.onnx"
    first.write_bytes(flattening())
    with ChildProcesses() as children:
        future = children.submit(tflite_to_onnx, first.read_bytes(), log=tmp_path / "log")
        second.write_bytes(future.result())
    for path in (first, second):
        (outputs,) = load(path).predict({"x": np.float32([[[1]], [[2]]])}).values()
        assert outputs.tolist() == [[9], [11]]
