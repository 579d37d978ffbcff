"""What is said about models from elsewhere, and models from elsewhere that take texts."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.manifest import Manifest
from edge.tensor import Tensor
from toolkit.card import Card
from toolkit.errors import DataError, UsageError
from toolkit.hosts import ChildProcesses
from toolkit.models.adoption import Adoption
from toolkit.models.samples import read_samples

TOKENISE = {"step": "tokenise", "vocabulary": ["", "?", "up"], "length": 2, "unknown": 1,
            "padding": 0}  # fmt: skip
TEXTS = ["up up", "who", "up ünd away"]


@pytest.fixture
def written(tmp_path):
    """Write JSON: written("name", value)."""

    def write(name, value):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(value))
        return path

    return write


def of_manifest(**fields):
    tensors = (Tensor("x", (None, 2), "float32"),), (Tensor("y", (None, 2), "float32"),)
    return Manifest("net", "torch", "onnx", "fp32", *tensors, **fields)


def test_postprocessing_is_the_users_or_else_the_files(written):
    softmax, sigmoid = [{"step": "softmax"}], [{"step": "sigmoid"}]
    told = of_manifest(postprocessing=sigmoid)
    assert Adoption("net.onnx").card(told).postprocessing == sigmoid
    given = Adoption("net.onnx", postprocessing=written("after", softmax))
    assert given.card(told).postprocessing == given.card(None).postprocessing == softmax
    assert Adoption("net.onnx").card(None).postprocessing == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"y": [{"step": "softmax"}]}, "is of the first output; write one list of steps"),
        ([{"step": "softmaxx"}], "unknown step 'softmaxx'; did you mean 'softmax'"),
        (3, "expected a list of steps"),
    ],
)
def test_postprocessing_that_is_no_list_of_steps(written, value, words):
    path = written("after", value)
    with pytest.raises(UsageError, match=rf"after\.json: .*{words}"):
        Adoption("net.onnx", postprocessing=path).card(None)


def test_samples_are_texts_where_the_first_step_tokenises(tmp_path):
    path = tmp_path / "samples.npz"
    np.savez(path, text=np.array(TEXTS), age=np.arange(3), targets=np.array([0, 1, 0]))
    given = read_samples(path, "input", Card("x", preprocessing={"text": [TOKENISE]}))
    assert given.inputs["text"].tolist() == TEXTS
    assert given.inputs["age"].shape == (3, 1)
    assert given.targets.tolist() == [0, 1, 0]
    with pytest.raises(DataError, match=r"'text': needs numbers, not <U11; .* a 'tokenise' step"):
        read_samples(path, "input")


@pytest.fixture
def net(tmp_path):
    """ids [n, 2] -> a row of a table for each, summed: [n, 2]."""
    table = numpy_helper.from_array(np.float32([[0, 0], [1, 0], [0, 3]]), "table")
    axes = numpy_helper.from_array(np.int64([1]), "axes")
    nodes = [
        helper.make_node("Gather", ["table", "text"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axes"], ["y"], keepdims=0),
    ]
    x = helper.make_tensor_value_info("text", TensorProto.INT32, ["n", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph(nodes, "net", [x], [y], [table, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    return path


def test_a_model_of_texts_is_adopted_with_texts(net, written, tmp_path):
    samples = tmp_path / "samples.npz"
    np.savez(samples, text=np.array(TEXTS))
    before = written("before", {"text": [TOKENISE]})
    with ChildProcesses() as children:
        bare = Adoption(str(net), preprocessing=before)
        with pytest.raises(
            UsageError, match="takes texts, which cannot be made up; give some with"
        ):
            bare.carry_out(tmp_path / "runs", children, tmp_path)
        adoption = Adoption(str(net), preprocessing=before, samples=samples, decision="argmax")
        run = adoption.carry_out(tmp_path / "runs", children, tmp_path)
    golden = run.golden("onnx")
    assert golden.inputs["text"].tolist() == TEXTS
    assert golden.outputs["y"].tolist() == [[0, 6], [1, 0], [1, 3]]
