"""The Open Inference Protocol, version 2, as functions: requests to arrays, outputs to answers.

Tensors are JSON or, by Triton's extension, bytes after the JSON (oip_binary.py). Raw values are
expected and preprocessed, unless the request's `parameters` say `"preprocessed": true`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.tensor import Tensor
from toolkit import __version__
from toolkit.serve import oip_outputs
from toolkit.serve.errors import RequestError
from toolkit.serve.json_in import dumps, parse
from toolkit.serve.oip_binary import decode, decode_raw, encode
from toolkit.serve.oip_inputs import BINARY, DATATYPES, check_end, read_inputs, refuse_size
from toolkit.serve.oip_outputs import Asked
from toolkit.serve.oip_parameters import flag, parameters_of
from toolkit.serve.version import Arrays, Spec, Version

__all__ = ["DATATYPES", "Call", "model_metadata", "read_infer", "server_metadata", "write_infer"]

_HEADS, _HEAD_BYTES = 256, 4096  # requests' JSON that a version remembers, and its greatest length
_OF_DTYPE = {np.dtype(name): kind for name, kind in DATATYPES.items() if name != "str"}


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it was read.

    Attributes:
        inputs: arrays [n, ...] by input name.
        preprocess: whether they are raw.
        id: of the request, which the answer repeats; '' for none.
        outputs: what is to be answered, in order.
    """

    inputs: Arrays
    preprocess: bool = True
    id: str = ""
    outputs: tuple[Asked, ...] = ()


def server_metadata() -> dict[str, Any]:
    """What the server is, and which extensions it knows."""
    extensions = ["binary_tensor_data", "classification", "parameters"]
    return {"name": "toolkit", "version": __version__, "extensions": extensions}


def model_metadata(version: Version, numbers: Iterable[int]) -> dict[str, Any]:
    """Inputs and outputs of a model, by version `numbers` that answer; -1 where a size is free."""
    runtime = version.model.runtime
    parameters: dict[str, Any] = {"decision": version.decision}
    if version.labels:
        parameters["labels"] = version.labels
    return {
        "name": version.name,
        "versions": [str(number) for number in numbers],
        "platform": "onnxruntime_onnx" if runtime.startswith("onnx") else "litert_tflite",
        "inputs": [_described(spec) for spec in version.inputs],
        "outputs": [_described(tensor) for tensor in version.outputs],
        "parameters": parameters,
    }


def read_infer(body: bytes, json_length: int | None, version: Version, depth: int) -> Call:
    """Read a request for `/infer`.

    Args:
        body: JSON and, after it, the tensors that are sent as bytes.
        json_length: bytes of the JSON, from the header Inference-Header-Content-Length; None where
            there is none and all is JSON, 0 where the body is the only input's bytes.
        version: the model.
        depth: most lists and objects within one another.

    Raises:
        RequestError: it is no such request, or a tensor does not fit the model's input.
    """
    if json_length == 0:
        return _read_raw(body, version)
    end = len(body) if json_length is None else json_length
    if end > len(body):
        raise RequestError(
            f"Inference-Header-Content-Length: expected {len(body)} at most, the length of the "
            f"body, got {end}; send the length of the JSON"
        )
    head = body if end == len(body) else body[:end]
    if head is not body and head in version.heads:
        return _read_again(version.heads[head], body, end)
    request = parse(head, depth)
    if type(request) is not dict:
        raise RequestError("expected a JSON object with 'inputs', got something else")
    parameters = parameters_of(request, "the request")
    preprocess = not flag(parameters, "preprocessed", "the request")
    specs = version.inputs if preprocess else version.prepared
    start = None if json_length is None else end
    inputs = read_inputs(request.get("inputs"), specs, body, start)
    name = request.get("id", "")
    if type(name) is not str:
        raise RequestError("id: expected a text, got something else; leave it out, or send text")
    binary = flag(parameters, "binary_data_output", "the request")
    asked = oip_outputs.read(request.get("outputs"), version, binary)
    call = Call(inputs, preprocess, name, asked)
    if head is not body and len(head) <= _HEAD_BYTES:
        _remember(head, request["inputs"], call, version)
    return call


def _remember(head: bytes, tensors: list[Any], call: Call, version: Version) -> None:
    """Keep what the JSON of a request said, if all its tensors come as bytes after it."""
    specs = {spec.name: spec for spec in (version.inputs if call.preprocess else version.prepared)}
    parts = [
        (specs[tensor["name"]], tensor["shape"], tensor["parameters"][BINARY])
        for tensor in tensors
        if "data" not in tensor
    ]
    if len(parts) == len(tensors):
        if len(version.heads) >= _HEADS:
            version.heads.clear()
        version.heads[head] = parts, call.preprocess, call.id, call.outputs


def _read_again(known: Any, body: bytes, start: int) -> Call:
    """A request whose JSON was checked before: clients send the same over and over."""
    parts, preprocess, name, asked = known
    inputs = {}
    for spec, shape, size in parts:
        if start + size > len(body):
            refuse_size(spec, size, len(body) - start, start)
        inputs[spec.name] = decode(body, start, size, spec, shape)
        start += size
    check_end(body, start)
    return Call(inputs, preprocess, name, asked)


def write_infer(outputs: Arrays, call: Call, version: Version) -> tuple[bytes, dict[str, str]]:
    """Body and headers of the answer; NaN and infinity are null in JSON, and themselves in bytes.

    Raises:
        RequestError: a classification is asked of an output that has no classes.
    """
    tensors, parts = [], []
    for asked in call.outputs or oip_outputs.read(None, version, binary=False):
        output = outputs[asked.name]
        if asked.classes:
            output = oip_outputs.classified(output, asked, version)
        datatype = _OF_DTYPE.get(output.dtype, "BYTES")
        row = {"name": asked.name, "datatype": datatype, "shape": output.shape}
        if asked.binary:
            content = encode(output)
            row["parameters"] = {BINARY: len(content)}
            parts.append(content)
        else:
            row["data"] = output.reshape(-1)
        tensors.append(row)
    answer: dict[str, Any] = {"model_name": version.name, "model_version": str(version.number)}
    if call.id:
        answer["id"] = call.id
    answer["outputs"] = tensors
    text = dumps(answer)
    if not parts:
        return text, {"content-type": "application/json"}
    headers = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(len(text)),
    }
    return b"".join([text, *parts]), headers


def _described(tensor: Spec | Tensor) -> dict[str, Any]:
    shape = [-1 if size is None else size for size in tensor.shape]
    return {"name": tensor.name, "datatype": DATATYPES[tensor.dtype], "shape": shape}


def _read_raw(body: bytes, version: Version) -> Call:
    if len(version.inputs) != 1:
        names = ", ".join(spec.name for spec in version.inputs)
        raise RequestError(
            f"expected JSON for the inputs {names}, got a body without JSON, which is for models "
            "with one input; send JSON and its length in Inference-Header-Content-Length"
        )
    spec = version.inputs[0]
    asked = oip_outputs.read(None, version, binary=True)
    return Call({spec.name: decode_raw(body, spec)}, outputs=asked)
