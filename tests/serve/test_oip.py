"""The Open Inference Protocol in JSON: metadata, requests and answers."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numbers

from edge.tensor import DTYPES
from tests.serve import tiny
from toolkit import __version__
from toolkit.serve import oip
from toolkit.serve.errors import RequestError

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    return tiny.versions(tmp_path_factory.mktemp("models"))


def ask(version, body):
    """The answer as a client reads it."""
    call = oip.read_infer(json.dumps(body).encode(), None, version, 32)
    outputs = version.run(version.prepare(call.inputs, preprocess=call.preprocess))
    content, headers = oip.write_infer(outputs, call, version)
    assert headers == {"content-type": "application/json"}
    return json.loads(content)


def tensor(name, datatype, shape, data, **more):
    return {"name": name, "datatype": datatype, "shape": shape, "data": data, **more}


X = tensor("x", "FP32", [2, 1], [1, 2])
A = tensor("a", "FP32", [1, 2], [1, 2])
B = tensor("b", "INT64", [1, 1], [3])


def test_server_says_what_it_knows():
    found = oip.server_metadata()
    assert found["version"] == __version__
    assert "binary_tensor_data" in found["extensions"]


def test_model_metadata(versions):
    assert oip.model_metadata(versions["image"], [1, 3]) == {
        "name": "image",
        "versions": ["1", "3"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, 4, 4, 1]}],
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 3]}],
        "parameters": {"decision": "argmax", "labels": tiny.LABELS},
    }
    (text,) = oip.model_metadata(versions["text"], [1])["inputs"]
    assert text == {"name": "text", "datatype": "BYTES", "shape": [-1]}


def test_answer_repeats_the_id_and_says_the_version(versions):
    wanted = tensor("y", "FP32", [2, 1], [2.5, 3.0])
    answer = {"model_name": "number", "model_version": "1", "outputs": [wanted]}
    assert ask(versions["number"], {"inputs": [X]}) == answer
    assert ask(versions["number"], {"id": "7", "inputs": [X]}) == {**answer, "id": "7"}


def test_data_may_be_nested(versions):
    nested = {**X, "data": [[1], [2]]}
    assert ask(versions["number"], {"inputs": [nested]}) == ask(versions["number"], {"inputs": [X]})


def test_inputs_come_in_any_order(versions):
    one = ask(versions["two"], {"inputs": [A, B]})
    assert one == ask(versions["two"], {"inputs": [B, A]})
    assert [output["data"] for output in one["outputs"]] == [[4, 5], [6]]


def test_outputs_are_those_asked_for_in_their_order(versions):
    for names in (["twice"], ["twice", "total"], ["total", "twice"]):
        body = {"inputs": [A, B], "outputs": [{"name": name} for name in names]}
        found = ask(versions["two"], body)["outputs"]
        assert [output["name"] for output in found] == names
    assert len(ask(versions["two"], {"inputs": [A, B], "outputs": []})["outputs"]) == 2


def test_parameters_of_others_are_left_alone(versions):
    parameters = {"sequence_id": 3, "timeout": 5, "own": "x"}
    given_one = {**X, "parameters": {"content_type": "np"}}
    body = {"inputs": [given_one], "parameters": parameters}
    assert ask(versions["number"], body)["outputs"][0]["data"] == [2.5, 3.0]


def test_preprocessed_inputs(versions):
    ids = tensor("text", "INT32", [1, 4], [1, 2, 3, 4])
    body = {"inputs": [ids], "parameters": {"preprocessed": True}}
    assert ask(versions["text"], body)["outputs"][0]["data"] == [10.0]
    text = tensor("text", "BYTES", [2], ["a b", "ö"])
    assert ask(versions["text"], {"inputs": [text]})["outputs"][0]["data"] == [3.0, 3.0]


def test_a_scalar_has_an_empty_shape(versions):
    body = {"inputs": [tensor("x", "FP32", [], [3])]}
    assert ask(versions["scalar"], body)["outputs"] == [tensor("y", "FP32", [], [6.0])]


def test_classification(versions):
    pixels = tensor("pixels", "UINT8", [2, 4, 4, 1], list(range(32)))
    asked = {"name": "logits", "parameters": {"classification": 2}}
    (found,) = ask(versions["image"], {"inputs": [pixels], "outputs": [asked]})["outputs"]
    assert (found["datatype"], found["shape"]) == ("BYTES", [2, 2])
    (logits,) = ask(versions["image"], {"inputs": [pixels]})["outputs"]
    rows = np.reshape(logits["data"], (2, 3))
    wanted = [f"{row[i]:f}:{i}:{tiny.LABELS[i]}" for row in rows for i in np.argsort(-row)[:2]]
    assert found["data"] == wanted
    many = {"name": "logits", "parameters": {"classification": 99}}
    (found,) = ask(versions["image"], {"inputs": [pixels], "outputs": [many]})["outputs"]
    assert found["shape"] == [2, 3]


def test_classification_of_what_has_no_classes(versions):
    body = {"inputs": [tensor("x", "FP32", [], [3])]}
    body["outputs"] = [{"name": "y", "parameters": {"classification": 1}}]
    with pytest.raises(RequestError, match="output y: expected"):
        ask(versions["scalar"], body)


def test_the_number_of_samples_must_be_one(versions):
    more = tensor("b", "INT64", [2, 1], [3, 4])
    with pytest.raises(RequestError, match="differ in the number of samples: input a has 1"):
        ask(versions["two"], {"inputs": [A, more]})


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data(), nested=st.booleans())
def test_every_datatype_there_and_back(versions, dtype, data, nested):
    version = versions[f"same_{dtype}"]
    elements = numbers.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)
    made = data.draw(numbers.arrays(dtype, (data.draw(st.integers(1, 3)), 3), elements=elements))
    given_data = made.tolist() if nested else made.ravel().tolist()
    one = tensor("x", oip.DATATYPES[dtype], list(made.shape), given_data)
    body = json.dumps({"inputs": [one]}).encode()
    call = oip.read_infer(body, None, version, 32)
    assert call.inputs["x"].dtype == dtype
    content, _ = oip.write_infer({"y": call.inputs["x"]}, call, version)
    (output,) = json.loads(content)["outputs"]
    assert (output["datatype"], output["shape"]) == (one["datatype"], one["shape"])
    back = np.array(output["data"], dtype).reshape(output["shape"])
    np.testing.assert_array_equal(back, made)
