"""Models out of bundles: opened by keys, chosen by what is installed, asked in real processes."""

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from edge.bundle import Bundle
from edge.errors import BrokenRuntimeError, InputError, ModelError
from edge.runtime import choose, load, load_preferred
from edge.runtime_onnx import OnnxModel
from edge.tensor import Tensor
from toolkit.bundle.build import ModelPart

ROOT = Path(__file__).parents[2]


def edge(*arguments, **environment):
    """Run `python -m edge` with arguments in an environment without the user's keys."""
    return subprocess.run(
        [sys.executable, "-m", "edge", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        check=False,
        input="",
    )


@pytest.fixture
def both(make_both):
    return make_both()


def test_run_from_a_bundle(make_bundle):
    path = make_bundle()
    keys = path.with_name("keys.json")
    for options, environment in (
        (["--keys", keys], {}),
        ([], {"EDGE_KEYS": str(keys)}),
        (["--allow-unsigned"], {}),
    ):
        done = edge("run", path, "4", *options, **environment)
        assert (done.returncode, done.stdout, done.stderr) == (0, "8\n", "")
    home = path.parent / ".config" / "edge"
    home.mkdir(parents=True)
    keys.rename(home / "keys.json")
    assert edge("run", path, "4", HOME=str(path.parent)).stdout == "8\n"


def test_a_bundle_that_nobody_trusted_signed_is_two(make_bundle):
    path = make_bundle()
    done = edge("run", path, "4")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no trusted keys were given" in done.stderr
    path.write_bytes(path.read_bytes()[:-1])
    done = edge("run", path, "4", "--keys", path.with_name("keys.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "cut off" in done.stderr
    assert edge("run", path, "4", "--keys", path.with_name("none.json")).returncode == 2


def test_the_first_whose_runtime_is_there(both, monkeypatch):
    bundle = Bundle.open(both, allow_unsigned=True)
    assert load_preferred(bundle, "b").runtime.startswith("onnxruntime")
    assert load_preferred(bundle, "b", precision="fp32").runtime.startswith("LiteRT")
    assert load_preferred(bundle, "b", name="double.tflite").runtime.startswith("LiteRT")
    with pytest.raises(InputError, match=r"no model int8; it holds:\n  double.onnx  fp16"):
        choose(bundle, precision="int8")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    model = load_preferred(bundle, "b")
    assert model.runtime.startswith("LiteRT")
    assert model.predict({"value": np.ones((1, 1), np.float32)})["twice"].tolist() == [[2]]
    with pytest.raises(BrokenRuntimeError, match=r"b: double.onnx: no runtime"):
        load_preferred(bundle, "b", precision="fp16")


def test_a_model_reads_the_members_of_its_bundle(both):
    model = load_preferred(Bundle.open(both, allow_unsigned=True), "b")
    assert model.member("double.tflite")[4:8] == b"TFL3"


def test_a_bundle_is_not_taken_for_a_model(make_bundle):
    with pytest.raises(ModelError, match="a bundle, which is opened with the keys"):
        load(make_bundle())


def test_a_damaged_model_in_a_bundle_is_named(make_bundle, describe):
    from edge.bundle_entries import Tolerance

    part = ModelPart("bad.tflite", b"\x1c\0\0\0TFL3" + bytes(64), describe(), Tolerance(0, 0, 1))
    bundle = Bundle.open(make_bundle(models=(part,)), allow_unsigned=True)
    with pytest.raises(ModelError, match=r"b: bad.tflite: LiteRT .* cannot read the file"):
        load_preferred(bundle, "b")


def test_no_second_copy_of_a_bundles_onnx_model_stays_in_memory():
    weights = np.ones((1024, 1024), np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", 1, ["n", 1024])],
        [helper.make_tensor_value_info("y", 1, ["n", 1024])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    content = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    tracemalloc.start()
    model = OnnxModel("net", 1, memoryview(content))
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert model.inputs[0].shape == (None, 1024)
    assert held < weights.nbytes / 4 < weights.nbytes <= most


def test_info(make_bundle):
    path = make_bundle(lineage={"run": "linear-1"}, needs={"python": "3.9"})
    keys = path.with_name("keys.json")
    told = json.loads(edge("info", path, "--keys", keys, "--json").stdout)
    assert told["bundle"]["lineage"] == {"run": "linear-1"}
    assert len(told["bundle"]["signed_by"]) == 1
    assert [each["member"] for each in told["bundle"]["models"]] == ["double.tflite"]
    assert {each["name"] for each in told["bundle"]["members"]} == {
        "double.tflite", "golden.npz", "edge.pyz",
    }  # fmt: skip
    device = told["device"]
    assert device["runtimes"]["ai-edge-litert"]
    assert device["cores"] >= 1
    assert device["memory_mb"]["available"] > 0
    shown = edge("info", path, "--keys", keys).stdout
    assert "double.tflite  fp32  by torch" in shown
    assert "ai-edge-litert" in shown


def test_several_values_and_options_that_do_not_fit(tflite, tmp_path):
    np.save(tmp_path / "a.npy", np.array([[5.0], [6.0]]))
    done = edge("run", tflite(), "4", tmp_path / "a.npy", "--json")
    assert json.loads(done.stdout)["outputs"] == {"y": [[8], [10], [12]]}
    done = edge("run", tflite(), "4", "--precision", "int8")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--model and --precision choose in a bundle" in done.stderr
    done = edge("run", tflite("two"), "4")
    assert "give every input as --input NAME=VALUE" in done.stderr


def test_texts_go_to_a_model_that_tokenises(onnx, describe):
    step = {"step": "tokenise", "vocabulary": ["?", "_", "one", "two"], "length": 3,
            "unknown": 0, "padding": 1}  # fmt: skip
    shape = (None, 3)
    manifest = describe(
        target="onnx",
        inputs=(Tensor("value", shape, "float32"),),
        outputs=(Tensor("twice", shape, "float32"),),
        preprocessing={"value": [step, {"step": "cast", "dtype": "float32"}]},
    )
    done = edge("run", onnx(manifest=manifest, columns=3), "two one", "three two")
    assert (done.stdout, done.stderr, done.returncode) == ("6 4 2\n0 6 2\n", "", 0)


def test_bench(make_bundle):
    done = edge("bench", make_bundle(), "--allow-unsigned", "--seconds", "0.05", "--json")
    assert json.loads(done.stdout)["bench"]["p50_us"] > 0
