"""Messages of the Open Inference Protocol's gRPC form as its binary REST form, and back.

So there is one reader of requests, in oip*.py, with one set of rules and words. The messages are
those that Triton's own client brings along (tritonclient.grpc.service_pb2).
"""

import json
import re
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from toolkit.serve.errors import RequestError, UnknownError
from toolkit.serve.json_in import dumps
from toolkit.serve.oip_inputs import BINARY

_NAME, _VERSION = re.compile("[^/:]{1,200}"), re.compile("[0-9]{1,18}")
_LENGTH = struct.Struct("<I")
_FIELDS = {
    "BOOL": ("bool_contents", ""),
    "INT8": ("int_contents", ""), "INT16": ("int_contents", ""), "INT32": ("int_contents", ""),
    "INT64": ("int64_contents", ""), "UINT64": ("uint64_contents", ""),
    "UINT8": ("uint_contents", ""), "UINT16": ("uint_contents", ""),
    "UINT32": ("uint_contents", ""),
    "FP32": ("fp32_contents", "<f4"), "FP64": ("fp64_contents", "<f8"),
    "BYTES": ("bytes_contents", "texts"),
}  # fmt: skip
"""Datatype -> the field of typed contents with its values, and how they become bytes. Integers do
not: their range is checked where JSON is read."""


def path_of(model: str, version: str) -> str:
    """The REST address of a model, or of one of its versions where `version` is not ''.

    Raises:
        UnknownError: no model or version is called like that.
    """
    if not _NAME.fullmatch(model):
        raise UnknownError(f"no model {model[:100]!r}: a name is a text without / and :")
    if not version:
        return f"/v2/models/{model}"
    if not _VERSION.fullmatch(version):
        raise UnknownError(f"model {model} has no version {version[:100]!r}: versions are numbers")
    return f"/v2/models/{model}/versions/{version}"


def body_of(request: Any) -> tuple[bytes, int]:
    """The body of `/infer` for a ModelInferRequest, and how many bytes of it are the JSON.

    All outputs are asked for as bytes.

    Raises:
        RequestError: raw contents are not as many as the inputs, or beside typed ones.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise RequestError(
            f"raw_input_contents: expected {len(request.inputs)}, one an input, got {len(raw)}; "
            "send all inputs as raw contents, or none"
        )
    tensors: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for index, tensor in enumerate(request.inputs):
        row = {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "datatype": tensor.datatype,
            "parameters": _plain(tensor.parameters, without=BINARY),
        }
        if raw and tensor.HasField("contents"):
            raise RequestError(
                f"input {tensor.name}: expected contents or raw_input_contents, got both; send one"
            )
        content = raw[index] if raw else _typed(tensor)
        if isinstance(content, bytes):
            row["parameters"][BINARY] = len(content)
            parts.append(content)
        else:
            row["data"] = content
        tensors.append(row)
    outputs = [
        {"name": each.name, "parameters": _plain(each.parameters, without="binary_data")}
        for each in request.outputs
    ]
    parameters = _plain(request.parameters) | {"binary_data_output": True}
    whole = {"id": request.id, "inputs": tensors, "outputs": outputs, "parameters": parameters}
    head = dumps(whole)
    return b"".join([head, *parts]), len(head)


def fill_response(response: Any, body: bytes, json_length: int) -> None:
    """Write a binary answer into an empty ModelInferResponse."""
    answer = json.loads(body[:json_length])
    response.model_name, response.model_version = answer["model_name"], answer["model_version"]
    response.id = answer.get("id", "")
    start = json_length
    for row in answer["outputs"]:
        response.outputs.add(name=row["name"], datatype=row["datatype"], shape=row["shape"])
        end = start + row["parameters"][BINARY]
        response.raw_output_contents.append(body[start:end])
        start = end


def fill(message: Any, body: bytes) -> None:
    """Write those fields of a JSON answer into a message that it has."""
    from google.protobuf.json_format import ParseDict

    ParseDict(json.loads(body), message, ignore_unknown_fields=True)


def _typed(tensor: Any) -> list[Any] | bytes:
    """Typed contents: values for JSON, or bytes. Of an unknown datatype: none, it is told later."""
    if tensor.datatype == "FP16":
        raise RequestError(
            f"input {tensor.name}: FP16 has no typed contents; send it in raw_input_contents"
        )
    field, form = _FIELDS.get(tensor.datatype, ("bytes_contents", "texts"))
    values = getattr(tensor.contents, field)
    if not values and tensor.datatype in _FIELDS:
        raise RequestError(
            f"input {tensor.name}: expected the values of {tensor.datatype} in contents.{field}, "
            "got none; send them there, or in raw_input_contents"
        )
    if form == "texts":
        return b"".join(_LENGTH.pack(len(each)) + each for each in values)
    return np.array(values, form).tobytes() if form else list(values)


def _plain(parameters: Mapping[str, Any], without: str = "") -> dict[str, Any]:
    """InferParameter messages as plain values."""
    return {
        name: getattr(each, kind) if (kind := each.WhichOneof("parameter_choice")) else None
        for name, each in parameters.items()
        if name != without
    }
