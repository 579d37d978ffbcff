"""Tensors as bytes: what a real client encodes, and every dtype there and back."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numbers

from edge.tensor import DTYPES
from tests.serve import tiny
from toolkit.serve import oip
from toolkit.serve.errors import RequestError
from toolkit.serve.oip_binary import decode, encode
from toolkit.serve.version import Spec

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    return tiny.versions(tmp_path_factory.mktemp("models"))


def ask(version, body, length):
    call = oip.read_infer(body, length, version, 32)
    outputs = version.run(version.prepare(call.inputs, preprocess=call.preprocess))
    return oip.write_infer(outputs, call, version)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data(), blanks=st.integers(0, 8))
def test_every_datatype_there_and_back(versions, dtype, data, blanks):
    version = versions[f"same_{dtype}"]
    made = data.draw(numbers.arrays(dtype, (data.draw(st.integers(1, 3)), 3)))
    tensor = {"name": "x", "datatype": oip.DATATYPES[dtype], "shape": made.shape}
    tensor["parameters"] = {"binary_data_size": made.nbytes}
    request = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    text = json.dumps(request).encode() + b" " * blanks  # the tensor begins anywhere
    body, headers = ask(version, text + made.tobytes(), len(text))
    length = int(headers["inference-header-content-length"])
    (output,) = json.loads(body[:length])["outputs"]
    assert headers["content-type"] == "application/octet-stream"
    assert (output["datatype"], output["shape"]) == (tensor["datatype"], list(made.shape))
    assert output["parameters"] == {"binary_data_size": made.nbytes}
    assert body[length:] == made.tobytes()


@pytest.mark.parametrize("binary", [True, False])
def test_a_real_client_is_understood_and_understands(versions, binary):
    http = pytest.importorskip("tritonclient.http")
    arrays = {"a": np.array([[1, 2]], np.float32), "b": np.array([[3]])}
    inputs = [http.InferInput("a", [1, 2], "FP32"), http.InferInput("b", [1, 1], "INT64")]
    for each in inputs:
        each.set_data_from_numpy(arrays[each.name()], binary_data=binary)
    client = http.InferenceServerClient
    asked = [http.InferRequestedOutput("twice"), http.InferRequestedOutput("total", False)]
    for outputs in (None, asked):
        body, length = client.generate_request_body(inputs, outputs=outputs, request_id="7")
        content, headers = ask(versions["two"], body, length)
        length = int(headers["inference-header-content-length"])
        result = client.parse_response_body(content, header_length=length)
        assert result.get_response()["id"] == "7"
        np.testing.assert_array_equal(result.as_numpy("total"), [[4, 5]])
        np.testing.assert_array_equal(result.as_numpy("twice"), [[6]])


@pytest.mark.parametrize("binary", [True, False])
def test_a_real_client_sends_texts_and_gets_classes(versions, binary):
    http = pytest.importorskip("tritonclient.http")
    client = http.InferenceServerClient
    text = http.InferInput("text", [2], "BYTES")
    text.set_data_from_numpy(np.array(["a b", "ö"], np.object_), binary_data=binary)
    content, headers = ask(versions["text"], *client.generate_request_body([text]))
    length = int(headers["inference-header-content-length"])
    result = client.parse_response_body(content, header_length=length)
    np.testing.assert_array_equal(result.as_numpy("sum"), [[3], [3]])
    pixels = http.InferInput("pixels", [1, 4, 4, 1], "UINT8")
    pixels.set_data_from_numpy(np.ones((1, 4, 4, 1), np.uint8), binary_data=binary)
    asked = http.InferRequestedOutput("logits", binary_data=binary, class_count=2)
    body, length = client.generate_request_body([pixels], outputs=[asked])
    content, headers = ask(versions["image"], body, length)
    length = headers.get("inference-header-content-length")
    result = client.parse_response_body(content, header_length=length and int(length))
    first, _ = result.as_numpy("logits")[0]
    first = first if isinstance(first, str) else first.decode()
    assert first.endswith(":2:cat")


def test_a_body_without_json_is_the_only_input(versions):
    samples = np.array([[1], [2]], np.float32)
    content, headers = ask(versions["number"], samples.tobytes(), 0)
    length = int(headers["inference-header-content-length"])
    assert np.frombuffer(content[length:], np.float32).tolist() == [2.5, 3.0]
    for model, body, shape in (
        ("image", bytes(32), (2, 4, 4, 1)),
        ("free", bytes(24), (1, 3, 2)),
        ("scalar", bytes(4), ()),
        ("text", "ö a".encode(), (1,)),
    ):
        (made,) = oip.read_infer(body, 0, versions[model], 32).inputs.values()
        assert made.shape == shape


def test_json_that_was_seen_before_is_remembered_and_its_tensors_are_still_checked(versions):
    version = versions["number"]
    tensor = {"name": version.inputs[0].name, "shape": [1, 1], "datatype": "FP32"}
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": 4}}]}).encode()
    for value in (1.0, 2.0, 3.0):
        call = oip.read_infer(head + np.float32(value).tobytes(), len(head), version, 32)
        assert next(iter(call.inputs.values())) == value
    assert head in version.heads
    for tail, words in ((b"abc", "got 4"), (b"abcde", "got 1 bytes more")):
        with pytest.raises(RequestError, match=words):
            oip.read_infer(head + tail, len(head), version, 32)
    in_json = json.dumps({"inputs": [tensor | {"data": [1.0]}]}).encode()
    oip.read_infer(in_json, None, version, 32)
    assert in_json not in version.heads
    for number in range(300):
        named = json.dumps({"id": str(number), **json.loads(head)}).encode()
        oip.read_infer(named + bytes(4), len(named), version, 32)
    assert len(version.heads) <= 256


def test_aligned_tensors_are_not_copied_and_others_are():
    spec = Spec("x", (None, 2), "float32")
    body = bytes(17)
    assert np.shares_memory(decode(body, 8, 8, spec, (1, 2)), np.frombuffer(body, np.uint8))
    made = decode(body, 9, 8, spec, (1, 2))
    assert made.flags.aligned
    assert not np.shares_memory(made, np.frombuffer(body, np.uint8))


@given(st.lists(st.text(), min_size=1))
def test_texts_there_and_back(texts):
    made = np.empty(len(texts), np.object_)
    made[:] = texts
    content = encode(made)
    spec = Spec("t", (None,), "str")
    assert decode(b"x" + content, 1, len(content), spec, (len(texts),)).tolist() == texts


@given(st.binary(max_size=40), st.integers(0, 2**62), st.sampled_from(["str", "bool", "int16"]))
def test_any_bytes_are_taken_or_refused_by_name(body, count, dtype):
    spec = Spec("x", (None,), dtype)
    try:
        made = decode(body, 0, len(body), spec, (count,))
    except RequestError as error:
        assert str(error).startswith("input x: ")  # noqa: PT017
        return
    assert made.shape == (count,)


def test_outputs_of_any_order_are_packed_row_by_row(versions):
    call = oip.Call({}, outputs=(oip.oip_outputs.Asked("y", True),))
    output = np.arange(6, dtype=">f4").reshape(2, 3).T
    body, headers = oip.write_infer({"y": output}, call, versions["number"])
    packed = body[int(headers["inference-header-content-length"]) :]
    assert packed == struct.pack("<6f", 0, 3, 1, 4, 2, 5)
