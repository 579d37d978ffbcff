"""Requests changed at random are read or refused; what is read, the model takes."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import InputError
from tests.serve import tiny
from tests.serve.bad_requests import DESCRIBED, SAMPLES
from tests.serve.bad_tensors import tensor
from toolkit.serve import oip, tfserving
from toolkit.serve.errors import RequestError
from toolkit.serve.json_in import dumps, parse

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

WORDS = ["x", "a", "b64", "instances", "inputs", "name", "data", "shape", "parameters", "FP32", "ö"]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 300),
    st.sampled_from([2**31, 2**63, 2**64, -(2**63), 1e39, 0.5, -0.0, 1e-320]),
    st.sampled_from(WORDS),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    return tiny.versions(tmp_path_factory.mktemp("models"), tiny.NAMES)


def requests():
    """(method, model, good body)."""
    for model, sample in SAMPLES.items():
        yield "predict", model, {"instances": [sample, sample]}
        yield "predict", model, {"inputs": {name: [value] for name, value in sample.items()}}
        for verb in ("classify", "regress"):
            yield verb, model, {"examples": [sample], "context": {}}
        tensors = [tensor(name, DESCRIBED[model, name], [value]) for name, value in sample.items()]
        asked = {"parameters": {"binary_data_output": True}, "outputs": [], "id": "1"}
        yield "infer", model, {"inputs": tensors, **asked}


def places(value, path=()):
    """The path of everything in a value of JSON."""
    yield path
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def changed(data, body):
    """A copy in which something is replaced, left out, doubled or added."""
    body = copy.deepcopy(body)
    *path, last = data.draw(st.sampled_from([path for path in places(body) if path]))
    owner = body
    for key in path:
        owner = owner[key]
    match data.draw(st.sampled_from(["replace", "remove", "double", "add", "wrap"])):
        case "remove":
            del owner[last]
        case "double" if isinstance(owner, list):
            owner.append(owner[last])
        case "add" if isinstance(owner, dict):
            owner[data.draw(st.sampled_from(WORDS))] = data.draw(VALUES)
        case "wrap":
            owner[last] = [owner[last]]
        case _:
            owner[last] = data.draw(VALUES)
    return body


def answer(version, method, body, length=None):
    """Read, run and write; only RequestError and InputError are expected."""
    if method == "infer":
        call = oip.read_infer(body, length, version, 32)
    else:
        call = getattr(tfserving, f"read_{method}")(parse(body, 32), version)
    outputs = version.run(version.prepare(call.inputs, preprocess=call.preprocess))
    if method == "infer":
        return oip.write_infer(outputs, call, version)[0]
    return dumps(getattr(tfserving, f"write_{method}")(outputs, call, version))


@settings(max_examples=600, deadline=None)
@given(st.data(), st.sampled_from(list(requests())), st.integers(1, 3))
def test_changed_values_are_read_or_refused(versions, data, request_of, times):
    method, model, body = request_of
    for _ in range(times):
        body = changed(data, body)
        if not body:
            break
    try:
        answer(versions[model], method, json.dumps(body).encode())
    except (RequestError, InputError) as error:
        assert str(error)  # noqa: PT017


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(list(requests())))
def test_changed_bytes_are_read_or_refused(versions, data, request_of):
    method, model, good = request_of
    body = bytearray(json.dumps(good).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        answer(versions[model], method, bytes(body))
    except (RequestError, InputError) as error:
        assert str(error)  # noqa: PT017


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_changed_binary_requests_are_read_or_refused(versions, data):
    model = data.draw(st.sampled_from(["number", "two", "image", "flag", "free"]))
    version, tensors, content = versions[model], [], b""
    for spec in version.inputs:
        value = np.array([SAMPLES[model][spec.name]], spec.dtype)
        size = value.nbytes + data.draw(st.sampled_from([0, 0, 0, 0, 1, -1, 2**40]))
        tensors.append(
            {
                "name": spec.name,
                "datatype": oip.DATATYPES[spec.dtype],
                "shape": [*value.shape],
                "parameters": {"binary_data_size": size},
            }
        )
        content += value.tobytes()
    body = {"inputs": tensors}
    if data.draw(st.booleans()):
        body = changed(data, body)
    text = json.dumps(body).encode()
    length = len(text) + data.draw(st.sampled_from([0, 0, 0, 1, -1, 2**30]))
    content += data.draw(st.binary(max_size=1))
    try:
        answer(version, "infer", text + content, length)
    except (RequestError, InputError) as error:
        assert str(error)  # noqa: PT017
