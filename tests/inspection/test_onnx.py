"""ONNX files, made by hand so that every count is known."""

import onnx
import pytest
from onnx import TensorProto, helper

from toolkit.errors import UsageError
from toolkit.inspection.inspect import inspect_file
from toolkit.inspection.report import Port

from .conftest import model, value, weight


def inspect(content):
    return inspect_file(content, "model.onnx")


def test_a_small_convolutional_network(conv_net):
    found = inspect(conv_net)
    assert found.format == "onnx"
    assert found.bytes == len(conv_net)
    assert found.inputs == (Port("image", "float32", (None, 3, 8, 8)),)
    assert found.outputs == (Port("logits", "float32", (None, 5)),)
    assert found.needs == {"opset": 18, "ir_version": 8, "onnxruntime": ">= 1.14"}
    assert dict(found.operators) == dict.fromkeys(
        ["Conv", "Flatten", "Gemm", "GlobalAveragePool", "Relu"], 1
    )
    assert found.parameters == 4 * 27 + 4 + 20 + 5
    assert found.constants == {"float32": found.parameters * 4}
    assert found.macs == 4 * 8 * 8 * 27 + 4 * 5
    assert (found.uncounted, found.unknown) == (0, 0)
    assert found.activation_bytes == 2 * 4 * 8 * 8 * 4  # before and after the Relu
    assert found.memory_bytes == found.activation_bytes + found.parameters * 4
    assert (found.largest[0].name, found.largest[0].kind) == ("c", "activation")
    assert found.manifest is None


def one(op, inputs, output, weights=(), attributes=None, **options):
    """MACs of a file with one operator."""
    names = [*inputs, *(item.name for item in weights)]
    node = helper.make_node(op, names, ["y"], **(attributes or {}))
    infos = [value(name, shape) for name, shape in inputs.items()]
    return inspect(model([node], infos, [value("y", output)], weights, **options)).macs


def test_work_of_each_kind_of_operator():
    image, filters = {"x": ["n", 4, 6, 6]}, weight("w", [8, 2, 3, 3])
    assert one("Conv", image, ["n", 8, 4, 4], [filters], {"group": 2}) == 8 * 16 * 18
    depthwise = weight("w", [4, 1, 3, 3])
    assert one("Conv", image, ["n", 4, 4, 4], [depthwise], {"group": 4}) == 4 * 16 * 9
    up = weight("w", [4, 8, 3, 3])
    assert one("ConvTranspose", image, ["n", 8, 8, 8], [up]) == 4 * 36 * 8 * 9
    assert one("MatMul", {"a": ["n", 3, 4], "b": ["n", 4, 5]}, ["n", 3, 5]) == 3 * 4 * 5
    gemm = {"transA": 1}
    assert one("Gemm", {"a": [4, 3], "b": [4, 5]}, [3, 5], attributes=gemm) == 3 * 4 * 5
    product = {"equation": "bij,bkj->bik"}
    assert one("Einsum", {"a": [2, 3, 4], "b": [2, 5, 4]}, [2, 3, 5], attributes=product) == 120


@pytest.mark.parametrize(("op", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_work_of_recurrent_layers(op, gates):
    weights = [weight("w", [1, gates * 5, 3]), weight("r", [1, gates * 5, 5])]
    found = one(op, {"x": [7, "n", 3]}, [7, 1, "n", 5], weights, {"hidden_size": 5})
    assert found == 7 * gates * 5 * (3 + 5)


def test_shapes_that_are_computed_from_shapes_are_known():
    """[n, 4, 6] flattened through Shape, Gather and Concat, as exporters write it."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Concat", ["n", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    weights = [
        weight("zero", [1], "int64", 0),
        weight("rest", [1], "int64", -1),
        weight("w", [24, 2]),
    ]
    found = inspect(model(nodes, [value("x", ["n", 4, 6])], [value("y", ["n", 2])], weights))
    assert (found.macs, found.uncounted, found.unknown) == (48, 0, 0)
    assert (found.parameters, found.constants) == (48, {"float32": 192, "int64": 16})


def quantised():
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wf"]),
        helper.make_node("MatMul", ["xf", "wf"], ["yf"]),
        helper.make_node("QuantizeLinear", ["yf", "s", "z"], ["y"]),
    ]
    weights = [weight("w", [4, 5], "int8"), weight("s", [], number=0.5), weight("z", [], "int8", 3)]
    inputs, outputs = [value("x", ["n", 4], "int8")], [value("y", ["n", 5], "int8")]
    return model(nodes, inputs, outputs, weights)


def test_a_quantised_file():
    found = inspect(quantised())
    assert found.inputs == (Port("x", "int8", (None, 4), (0.5, 3)),)
    assert found.outputs == (Port("y", "int8", (None, 5), (0.5, 3)),)
    assert found.parameters_by_dtype == {"int8": 20}  # a scale is no parameter
    assert found.constants == {"int8": 21, "float32": 4}
    assert found.activation_bytes == 9  # the floats between are never stored
    assert found.macs == 20
    assert "inputs      x int8[n, 4], scale 0.5, zero point 3" in found.lines()


def test_branches_and_loops():
    def branch(name, width):
        nodes = [helper.make_node("MatMul", ["x", f"w{width}"], [name])]
        return helper.make_graph(nodes, name, [], [value(name, ["n", width])])

    choice = helper.make_node(
        "If", ["c"], ["y"], then_branch=branch("a", 2), else_branch=branch("b", 3)
    )
    inputs = [value("x", ["n", 4]), helper.make_tensor_value_info("c", TensorProto.BOOL, [])]
    weights = [weight("w2", [4, 2]), weight("w3", [4, 3])]
    found = inspect(model([choice], inputs, [value("y", ["n", None])], weights))
    assert found.operators == {"MatMul": 2, "If": 1}
    assert found.macs == 12  # of the costlier branch
    assert found.parameters == 20


def test_a_custom_operator_is_named_and_its_shape_unknown():
    nodes = [
        helper.make_node("Mine", ["x"], ["m"], domain="my.ops"),
        helper.make_node("MatMul", ["m", "w"], ["y"]),
    ]
    io = [value("x", ["n", 4])], [value("y", ["n", "width"])]
    found = inspect(model(nodes, *io, [weight("w", [4, 5])], domains=["my.ops"]))
    assert found.operators == {"MatMul": 1, "my.ops.Mine": 1}
    assert found.needs["opset my.ops"] == 1
    assert (found.macs, found.uncounted, found.unknown) == (0, 1, 2)
    text = "\n".join(found.lines())
    assert "MACs        0 (without 1 operators of unknown shape)" in text
    assert "and 2 activations of unknown shape" in text


def test_local_functions_are_looked_into():
    body = [helper.make_node("MatMul", ["a", "b"], ["c"])]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    function = helper.make_function("mine", "Dense", ["a", "b"], ["c"], body, opsets[:1])
    node = helper.make_node("Dense", ["x", "w"], ["y"], domain="mine")
    io = [value("x", ["n", 4])], [value("y", ["n", 5])]
    graph = helper.make_graph([node], "graph", *io, [weight("w", [4, 5])])
    made = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)
    found = inspect(made.SerializeToString())
    assert (found.macs, found.operators) == (20, {"MatMul": 1})


def test_weights_in_a_second_file_are_refused(conv_net, tmp_path):
    loaded = onnx.load_model_from_string(conv_net)
    raw = [onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), tensor.name)
           for tensor in loaded.graph.initializer]  # fmt: skip
    del loaded.graph.initializer[:]
    loaded.graph.initializer.extend(raw)
    onnx.save(loaded, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0,
              location="m.data")  # fmt: skip
    with pytest.raises(UsageError, match=r"model.onnx: its weights lie in a second file, m.data"):
        inspect((tmp_path / "m.onnx").read_bytes())
