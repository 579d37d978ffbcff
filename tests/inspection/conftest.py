"""Small ONNX files, made on the spot."""

import pytest
from onnx import TensorProto, helper

KINDS = {"float32": TensorProto.FLOAT, "int8": TensorProto.INT8, "int64": TensorProto.INT64}


def value(name, shape, dtype="float32"):
    return helper.make_tensor_value_info(name, KINDS[dtype], shape)


def weight(name, shape, dtype="float32", number=1):
    count = 1
    for size in shape:
        count *= size
    return helper.make_tensor(name, KINDS[dtype], shape, [number] * count)


def model(nodes, inputs, outputs, weights=(), opset=18, ir_version=8, domains=()):
    """The bytes of a model."""
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(weights))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    return made.SerializeToString()


@pytest.fixture(scope="session")
def conv_net():
    """Image [n, 3, 8, 8] -> 4 filters of 3x3 -> mean -> dense [5] -> logits."""
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["logits"]),
    ]
    weights = [weight("w", [4, 3, 3, 3]), weight("b", [4]), weight("w2", [4, 5]), weight("b2", [5])]
    return model(nodes, [value("image", ["n", 3, 8, 8])], [value("logits", ["n", 5])], weights)
