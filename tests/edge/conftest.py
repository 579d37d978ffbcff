"""Small real model files, and a manifest that fits them."""

import shutil
from pathlib import Path

import pytest

from edge.manifest import ONNX_KEY, Manifest, append_to_tflite
from edge.tensor import Tensor

DATA = Path(__file__).parent / "data"


def describe(**changes):
    """The manifest of y = 2x, with names that the files do not use."""
    fields = {
        "name": "double",
        "framework": "torch",
        "target": "tflite",
        "precision": "fp32",
        "inputs": (Tensor("value", (None, 1), "float32"),),
        "outputs": (Tensor("twice", (None, 1), "float32"),),
    }
    return Manifest(**{**fields, **changes})


@pytest.fixture(name="describe")
def _describe():
    return describe


@pytest.fixture(scope="session")
def data():
    return DATA


@pytest.fixture
def tflite(tmp_path):
    """Make a .tflite file: tflite("double", manifest)."""

    def make(name="double", manifest=None):
        path = tmp_path / f"{name}.tflite"
        model = (DATA / f"{name}.tflite").read_bytes()
        path.write_bytes(append_to_tflite(model, manifest) if manifest else model)
        return path

    return make


@pytest.fixture
def onnx(tmp_path):
    """Make an .onnx file of y = 2x: onnx(batch="n", manifest=None, ...)."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")

    def make(batch="n", manifest=None, columns=1, domain="", opset=17):
        helper, kind = onnx.helper, onnx.TensorProto.FLOAT
        x, y = (helper.make_tensor_value_info(name, kind, [batch, columns]) for name in "xy")
        two = helper.make_tensor("two", kind, [], [2.0])
        node = helper.make_node("Mul", ["x", "two"], ["y"], domain=domain)
        graph = helper.make_graph([node], "double", [x], [y], [two])
        opsets = [helper.make_opsetid("", opset)]
        if domain:
            opsets.append(helper.make_opsetid(domain, 1))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        if manifest:
            onnx.helper.set_model_props(model, {ONNX_KEY: manifest.to_json()})
        path = tmp_path / "double.onnx"
        onnx.save(model, path)
        return path

    return make


@pytest.fixture(params=["tflite", "onnx"])
def double(request):
    """A maker of y = 2x with a free batch, once for each kind of file."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def edge_copy(tmp_path):
    """A folder that holds a copy of the package and nothing else."""
    source = Path(__file__).parents[2] / "edge"
    folder = tmp_path / "device"
    shutil.copytree(source, folder / "edge", ignore=shutil.ignore_patterns("__pycache__"))
    return folder
