"""A small real model file and what it must answer."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge.manifest import Manifest
from edge.manifest_tflite import append_to_tflite
from edge.tensor import Tensor
from toolkit.artifacts import Export, Golden
from toolkit.export.names import name_onnx

X = np.linspace(-3, 3, 9, dtype=np.float32)[:, None]


def make_onnx(factor=2.0, operator="Mul", names=True, columns=1, **meaning):
    """y = factor * x, or another operator of x and factor; named x and y by a manifest.

    `meaning` are further fields of the manifest.
    """

    def value(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", columns])

    nodes = [helper.make_node(operator, ["in", "factor"], ["out"])]
    weight = helper.make_tensor("factor", TensorProto.FLOAT, [], [factor])
    graph = helper.make_graph(nodes, "graph", [value("in")], [value("out")], [weight])
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    if not names:
        return model.SerializeToString()
    tensors = [(Tensor(name, (None, columns), "float32"),) for name in ("x", "y")]
    content = name_onnx(model, Manifest("job", "torch", "onnx", "fp32", *tensors, **meaning))
    onnx.checker.check_model(content)
    return content


def make_export(content, file="exports/job.onnx", **fields):
    digest = hashlib.sha256(content).hexdigest()
    given = {"framework": "torch", "target": "onnx", "precision": "fp32", "batch": None}
    given |= {"bytes": len(content), "sha256": digest, "seconds": 0.1}
    return Export(file, **given | fields)


@pytest.fixture(scope="session")
def onnx_file():
    """Make the content of an ONNX file: onnx_file(factor=2.0, operator="Mul")."""
    return make_onnx


def make_tflite(name="double", batch=None):
    """y = 2x, with a manifest; "fixed" takes two samples at a time."""
    tensors = [(Tensor(name, (batch, 1), "float32"),) for name in ("x", "y")]
    path = Path(__file__).parents[1] / "edge" / "data" / f"{name}.tflite"
    return append_to_tflite(path.read_bytes(), Manifest("job", "torch", "tflite", "fp32", *tensors))


@pytest.fixture(scope="session")
def tflite_file():
    """Make the content of a TFLite file: tflite_file(name="double", batch=None)."""
    return make_tflite


@pytest.fixture(scope="session")
def export_of():
    """Record an exported file: export_of(content, file="exports/job.onnx")."""
    return make_export


@pytest.fixture(scope="session")
def golden():
    """Golden vectors of y = 2x."""
    return Golden({"x": X}, {"y": 2 * X}, 2 * X)
