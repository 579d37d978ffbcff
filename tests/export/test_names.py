"""Names and manifest in real files, which must still answer the same."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper

from edge.manifest import ONNX_KEY, Manifest
from edge.manifest_tflite import append_to_tflite, read_from_tflite
from edge.runtime import load
from edge.tensor import Tensor
from toolkit.export.names import name_onnx, name_tflite, with_facts

TFLITE = Path(__file__).parents[1] / "edge" / "data"
X = np.float32([[1, 2], [3, 5]])
Y = np.float32([[10, 20], [40, 30]])


def manifest(inputs, outputs, batch=None, columns=2, target="onnx"):
    def tensors(names):
        return tuple(Tensor(name, (batch, columns), "float32") for name in names)

    return Manifest("job", "tf", target, "fp32", tensors(inputs), tensors(outputs))


def model(nodes, inputs, outputs, weights=(), batch="n"):
    """An ONNX model of float32 [batch, 2] inputs and outputs."""

    def values(names):
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, [batch, 2]) for n in names]

    tensors = [helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in weights]
    graph = helper.make_graph(nodes, "graph", values(inputs), values(outputs), tensors)
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def node(operator, inputs, outputs, **attributes):
    return helper.make_node(operator, inputs, outputs, **attributes)


def answer(folder, content, **inputs):
    path = folder / "model.onnx"
    path.write_bytes(content)
    onnx.checker.check_model(str(path), full_check=True)
    return load(path).predict(inputs)


def two(**fields):
    """sum = a + b and difference = a - b, under a converter's names."""
    nodes = [
        node("Add", ["args_0", "args_1"], ["Identity:0"]),
        node("Sub", ["args_0", "args_1"], ["Identity_1:0"]),
    ]
    return model(nodes, ["args_0", "args_1"], ["Identity:0", "Identity_1:0"], **fields)


def test_an_onnx_file_says_what_goes_in_and_out(tmp_path):
    content = name_onnx(two(), manifest(["a", "b"], ["sum", "difference"]))
    graph = onnx.load_from_string(content).graph
    assert [value.name for value in graph.input] == ["a", "b"]
    assert [value.name for value in graph.output] == ["sum", "difference"]
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    got = answer(tmp_path, content, a=X, b=Y)
    assert list(got) == ["sum", "difference"]
    assert got["sum"].tolist() == (X + Y).tolist()
    assert got["difference"].tolist() == (X - Y).tolist()


def test_an_onnx_file_carries_its_manifest(tmp_path):
    said = manifest(["a", "b"], ["sum", "difference"])
    content = name_onnx(two(), said)
    told = dataclasses.replace(said, extra={"needs": {"onnxruntime": ">= 1.12"}})  # opset 17
    props = {prop.key: prop.value for prop in onnx.load_from_string(content).metadata_props}
    assert Manifest.from_json(props[ONNX_KEY]) == told
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert load(path).manifest == told


def test_facts_are_added_to_the_manifest_of_either_kind_of_file(tmp_path):
    onnx_file = name_onnx(two(), manifest(["a", "b"], ["sum", "difference"]))
    said = manifest(["a", "b"], ["sum", "difference"], target="tflite")
    tflite_file = append_to_tflite((TFLITE / "two.tflite").read_bytes(), said)
    for content in (onnx_file, tflite_file):
        told = with_facts(content, {"calibration_sha256": "c0ffee"})
        path = tmp_path / "model"
        path.write_bytes(told)
        assert load(path).manifest.extra["calibration_sha256"] == "c0ffee"
        assert with_facts(told, {}) == told
    bare = (TFLITE / "two.tflite").read_bytes()
    if read_from_tflite(bare) is None:
        assert with_facts(bare, {"calibration_sha256": "c0ffee"}) == bare


def test_a_fixed_batch_stays_fixed():
    content = name_onnx(two(batch=2), manifest(["a", "b"], ["sum", "difference"], batch=2))
    for value in onnx.load_from_string(content).graph.input:
        assert value.type.tensor_type.shape.dim[0].dim_value == 2


def test_names_that_change_places_are_not_mixed_up(tmp_path):
    nodes = [node("Add", ["a", "b"], ["sum"]), node("Sub", ["a", "b"], ["difference"])]
    swapped = model(nodes, ["a", "b"], ["sum", "difference"])
    got = answer(
        tmp_path, name_onnx(swapped, manifest(["b", "a"], ["difference", "sum"])), b=X, a=Y
    )
    assert got["difference"].tolist() == (X + Y).tolist()
    assert got["sum"].tolist() == (X - Y).tolist()


def test_weights_among_the_inputs_keep_their_names(tmp_path):
    nodes = [node("Mul", ["in", "two"], ["out"])]
    whole = model(nodes, ["in"], ["out"], [("two", 2.0)])
    whole.graph.input.insert(0, helper.make_tensor_value_info("two", TensorProto.FLOAT, []))
    content = name_onnx(whole, manifest(["x"], ["y"]))
    assert [value.name for value in onnx.load_from_string(content).graph.input] == ["two", "x"]
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    onnx.checker.check_model(str(path), full_check=True)


def test_an_output_that_is_used_inside_too(tmp_path):
    nodes = [node("Mul", ["in", "in"], ["square"]), node("Add", ["square", "in"], ["out"])]
    content = name_onnx(model(nodes, ["in"], ["square", "out"]), manifest(["x"], ["y", "z"]))
    got = answer(tmp_path, content, x=X)
    assert got["y"].tolist() == (X * X).tolist()
    assert got["z"].tolist() == (X * X + X).tolist()


@pytest.mark.parametrize("inner", ["y", "x"])
def test_an_inner_tensor_of_the_wanted_name_is_moved_aside(tmp_path, inner):
    nodes = [node("Mul", ["in", "two"], [inner]), node("Add", [inner, "in"], ["out"])]
    content = name_onnx(model(nodes, ["in"], ["out"], [("two", 2.0)]), manifest(["x"], ["y"]))
    assert answer(tmp_path, content, x=X)["y"].tolist() == (3 * X).tolist()


def test_a_weight_of_the_wanted_name_is_moved_aside(tmp_path):
    nodes = [node("Mul", ["in", "y"], ["out"])]
    content = name_onnx(model(nodes, ["in"], ["out"], [("y", 2.0)]), manifest(["x"], ["y"]))
    assert answer(tmp_path, content, x=X)["y"].tolist() == (2 * X).tolist()


def test_bodies_of_branches_see_the_new_names(tmp_path):
    """tf.cond and torch.cond become If, whose branches use outer tensors."""

    def branch(operator):
        out = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
        return helper.make_graph([node(operator, ["in", "in"], ["inner"])], operator, [], [out])

    nodes = [
        node("ReduceSum", ["in"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["positive"]),
        node("If", ["positive"], ["out"], then_branch=branch("Add"), else_branch=branch("Mul")),
    ]
    content = name_onnx(model(nodes, ["in"], ["out"], [("zero", 0.0)]), manifest(["x"], ["y"]))
    assert answer(tmp_path, content, x=X)["y"].tolist() == (X + X).tolist()
    assert answer(tmp_path, content, x=-X)["y"].tolist() == (X * X).tolist()


def test_a_manifest_of_another_model_is_refused():
    with pytest.raises(ValueError, match="zip"):
        name_onnx(two(), manifest(["a"], ["sum", "difference"]))
    with pytest.raises(ValueError, match="zip"):
        name_tflite((TFLITE / "double.tflite").read_bytes(), manifest(["a", "b"], ["y"]))


def run_tflite(folder, name, said, **inputs):
    content = name_tflite((TFLITE / f"{name}.tflite").read_bytes(), said)
    path = folder / "model.tflite"
    path.write_bytes(append_to_tflite(content, said))
    opened = load(path)
    assert opened.manifest == said
    return content, opened.predict(inputs)


@pytest.mark.parametrize(("name", "batch"), [("double", None), ("fixed", 2)])
def test_a_tflite_file_says_what_goes_in_and_out(tmp_path, name, batch):
    said = manifest(["value"], ["twice"], batch, columns=1, target="tflite")
    content, got = run_tflite(tmp_path, name, said, value=X[:, :1])
    assert {name: array.tolist() for name, array in got.items()} == {
        "twice": (2 * X[:, :1]).tolist()
    }
    for text in (b"value", b"twice", b"serving_default"):
        assert text in content


def test_a_tflite_file_has_its_names_without_the_manifest(tmp_path):
    said = manifest(["value"], ["twice"], columns=1, target="tflite")
    path = tmp_path / "model.tflite"
    path.write_bytes(name_tflite((TFLITE / "double.tflite").read_bytes(), said))
    opened = load(path)
    assert opened.manifest is None
    assert [tensor.name for tensor in opened.inputs] == ["value"]
    assert [tensor.name for tensor in opened.outputs] == ["twice"]
    plain = Interpreter(model_path=str(path))  # tools that know no signatures show these
    assert [detail["name"] for detail in plain.get_input_details()] == ["value"]
    assert [detail["name"] for detail in plain.get_output_details()] == ["twice"]


@pytest.mark.parametrize("inputs", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("outputs", [("apart", "total"), ("total", "apart")])
def test_tflite_names_that_are_right_stay_with_their_tensors(tmp_path, inputs, outputs):
    """The file's own names say which is which; the manifest may order them otherwise."""
    said = manifest(inputs, outputs, target="tflite")
    _, got = run_tflite(tmp_path, "two", said, a=X, b=Y)
    assert list(got) == list(outputs)
    assert got["total"].tolist() == (X + Y).tolist()
    assert got["apart"].tolist() == (Y - X).tolist()


def test_naming_twice_gives_the_same_bytes():
    said = manifest(["value"], ["twice"], columns=1, target="tflite")
    content = (TFLITE / "double.tflite").read_bytes()
    assert name_tflite(content, said) == name_tflite(content, said)
    once = name_onnx(two(), manifest(["a", "b"], ["c", "d"]))
    assert once == name_onnx(two(), manifest(["a", "b"], ["c", "d"]))
