"""TensorFlow Serving's REST interface: its documented examples, and what we add."""

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import runtime
from tests.serve import tiny
from toolkit.serve import tfserving
from toolkit.serve.errors import RequestError
from toolkit.serve.json_in import dumps, parse
from toolkit.serve.version import Proof, Version

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

PIXELS = np.arange(16).reshape(4, 4, 1)


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    return tiny.versions(tmp_path_factory.mktemp("models"))


def ask(version, body, verb="predict"):
    """The answer as a client reads it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    call = getattr(tfserving, f"read_{verb}")(parse(content, 32), version)
    outputs = version.run(version.prepare(call.inputs, preprocess=call.preprocess))
    return json.loads(dumps(getattr(tfserving, f"write_{verb}")(outputs, call, version)))


def test_documented_half_plus_two_in_rows(versions):
    body = b'{"instances": [[1.0], [2.0], [5.0]]}'
    assert ask(versions["number"], body) == {"predictions": [[2.5], [3.0], [4.5]]}


def test_documented_named_rows_and_columns(versions):
    rows = [{"a": [1, 2], "b": [3]}, {"a": [3, 4], "b": [4]}]
    wanted = [{"total": [4, 5], "twice": [6]}, {"total": [7, 8], "twice": [8]}]
    assert ask(versions["two"], {"instances": rows}) == {"predictions": wanted}
    column = {"a": [[1, 2], [3, 4]], "b": [[3], [4]]}
    wanted = {"total": [[4, 5], [7, 8]], "twice": [[6], [8]]}
    assert ask(versions["two"], {"inputs": column}) == {"outputs": wanted}


def test_one_input_may_be_named_or_bare_in_both_forms(versions):
    wanted = [[2.5], [3.0]]
    for rows in ([[1], [2]], [{"x": [1]}, {"x": [2]}]):
        assert ask(versions["number"], {"instances": rows}) == {"predictions": wanted}
    for column in ([[1], [2]], {"x": [[1], [2]]}):
        assert ask(versions["number"], {"inputs": column}) == {"outputs": wanted}


def test_documented_base64(versions):
    for rows in (["a b", {"b64": "w7Y="}], [{"text": "a b"}, {"text": {"b64": "w7Y="}}]):
        assert ask(versions["text"], {"instances": rows}) == {"predictions": [[3.0], [3.0]]}


def test_documented_regress(versions):
    body = {
        "signature_name": "tensorflow/serving/regress",
        "examples": [{"x": 1.0}, {"x": 2.0}],
    }
    assert ask(versions["number"], body, "regress") == {"results": [2.5, 3.0]}


def test_classify_gives_each_label_and_its_score(versions):
    logits = ask(versions["image"], {"instances": [PIXELS.tolist()]})["predictions"][0]
    for pixels in (PIXELS.tolist(), PIXELS.ravel().tolist()):
        (result,) = ask(versions["image"], {"examples": [{"pixels": pixels}]}, "classify")[
            "results"
        ]
        assert [label for label, _ in result] == list(tiny.LABELS)
        wanted = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose([score for _, score in result], wanted, rtol=1e-5)


def test_classify_of_a_sign_gives_no_and_yes(versions):
    answer = ask(versions["text"], {"examples": [{"text": "a"}], "context": {}}, "classify")
    ((no, yes),) = answer["results"]
    assert (no[0], yes[0]) == ("0", "1")
    assert yes[1] == pytest.approx(1 / (1 + np.exp(-1)))
    assert no[1] + yes[1] == pytest.approx(1)


def test_context_is_common_to_all_examples(versions):
    body = {"context": {"a": [1, 2]}, "examples": [{"b": 1}, {"b": 2}]}
    call = tfserving.read_predict({"inputs": {"a": [[1, 2]] * 2, "b": [[1], [2]]}}, versions["two"])
    with pytest.raises(RequestError, match="one value a sample"):
        tfserving.read_regress(body, versions["two"])
    from toolkit.serve.tfserving_examples import feature, with_context

    rows = with_context(body)
    made = {s.name: feature([row[s.name] for row in rows], s) for s in versions["two"].inputs}
    for name, wanted in call.inputs.items():
        np.testing.assert_array_equal(made[name], wanted)


@pytest.mark.parametrize(
    ("golden", "is_softmax"), [([[0.2, 0.3, 0.5]], False), ([[2, 3, 5]], True)]
)
def test_golden_vectors_tell_probabilities_from_logits(tmp_path, golden, is_softmax):
    model = runtime.load(tiny.write(tmp_path, "image"))
    vectors = {"outputs.logits": np.array(golden, np.float32)}
    version = Version("image", 1, model, Proof(verified=True), vectors)
    outputs = {"logits": np.array([[0.0, 0.0, 1.0]], np.float32)}
    call = tfserving.Call({})
    (result,) = tfserving.write_classify(outputs, call, version)["results"]
    scores = [float(score) for _, score in result]
    assert (scores != [0, 0, 1]) == is_softmax


def test_postprocessing_makes_the_scores(tmp_path):
    model = runtime.load(tiny.write(tmp_path, "image", "argmax", [{"step": "sigmoid"}]))
    version = Version("image", 1, model, Proof(verified=True))
    outputs = {"logits": np.array([[0.0, 0.0, 9.0]], np.float32)}
    (result,) = tfserving.write_classify(outputs, tfserving.Call({}), version)["results"]
    assert float(result[0][1]) == 0.5


def test_preprocessed_inputs_skip_the_preprocessing(versions):
    body = {"signature_name": "preprocessed", "instances": [[1, 2, 3, 4]]}
    assert ask(versions["text"], body) == {"predictions": [[10.0]]}


def test_an_input_without_batch_axis_is_for_columns_only(versions):
    assert ask(versions["scalar"], {"inputs": 3}) == {"outputs": 6.0}
    assert ask(versions["scalar"], {"inputs": {"x": 3}}) == {"outputs": 6.0}


def test_outputs_that_are_not_one_a_sample_are_refused_in_rows(versions):
    call = tfserving.read_predict({"instances": [[1], [2]]}, versions["number"])
    with pytest.raises(RequestError, match=r"output y: .* got \[1\] for 2 samples; send 'inputs'"):
        tfserving.write_predict({"y": np.zeros(1)}, call, versions["number"])


def test_nan_and_infinity_are_null(versions):
    call = tfserving.read_predict({"instances": [[1], [2]]}, versions["number"])
    answer = tfserving.write_predict(
        {"y": np.array([[np.nan], [np.inf]], np.float32)}, call, versions["number"]
    )
    assert dumps(answer) == b'{"predictions":[[null],[null]]}'


def test_metadata_describes_both_signatures(versions):
    found = tfserving.metadata(versions["text"])
    assert found["model_spec"] == {"name": "text", "signature_name": "", "version": "1"}
    signatures = found["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["text"] == {
        "dtype": "DT_STRING",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "text",
    }
    assert signatures["preprocessed"]["inputs"]["text"]["dtype"] == "DT_INT32"
    assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"
    assert signatures["serving_default"]["outputs"]["sum"]["dtype"] == "DT_FLOAT"


READ = """
import json, sys
from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2
for signature in json.load(sys.stdin):
    json_format.ParseDict(signature, meta_graph_pb2.SignatureDef())
"""


def test_tensorflow_reads_the_metadata(versions):
    found = [tfserving.metadata(each)["metadata"]["signature_def"] for each in versions.values()]
    signatures = [one for each in found for one in each["signature_def"].values()]
    # In a process of its own: TensorFlow in this one would be in the way of other tests.
    subprocess.run(
        [sys.executable, "-c", READ], input=json.dumps(signatures), text=True, check=True
    )


@dataclass
class State:
    version: int
    state: str
    error: str = ""


def test_status_is_as_documented():
    states = [State(1, "AVAILABLE"), State(2, "END", "it broke")]
    assert tfserving.status(states) == {
        "model_version_status": [
            {
                "version": "2",
                "state": "END",
                "status": {"error_code": "INTERNAL", "error_message": "it broke"},
            },
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            },
        ]
    }


@given(st.data())
def test_rows_and_columns_are_the_same_request(versions, data):
    name = data.draw(st.sampled_from(["number", "two", "image", "flag", "text"]))
    version, count = versions[name], data.draw(st.integers(1, 3))
    column = {spec.name: data.draw(samples(spec, count)) for spec in version.inputs}
    rows = [{key: values[i] for key, values in column.items()} for i in range(count)]
    one = tfserving.read_predict(parse(dumps({"instances": rows}), 32), version)
    other = tfserving.read_predict(parse(dumps({"inputs": column}), 32), version)
    assert (one.row, other.row) == (True, False)
    for spec in version.inputs:
        np.testing.assert_array_equal(one.inputs[spec.name], other.inputs[spec.name])
        assert one.inputs[spec.name].tolist() == column[spec.name]


def samples(spec, count):
    """Lists of samples as JSON has them."""
    values = {
        "float32": st.floats(width=32, allow_nan=False, allow_infinity=False),
        "int64": st.integers(-(2**63), 2**63 - 1),
        "uint8": st.integers(0, 255),
        "bool": st.booleans(),
        "str": st.text(),
    }[spec.dtype]
    for size in reversed(spec.shape[1:]):
        values = st.lists(values, min_size=size or 1, max_size=size or 3)
    return st.lists(values, min_size=count, max_size=count)
