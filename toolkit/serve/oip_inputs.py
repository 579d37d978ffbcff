"""Tensors of a request of the Open Inference Protocol, in JSON or as bytes after it."""

import math
import reprlib
from typing import Any, NoReturn

from toolkit.serve.arrays import array, by_name, same_count, unknown
from toolkit.serve.errors import RequestError
from toolkit.serve.oip_binary import decode
from toolkit.serve.oip_parameters import parameters_of
from toolkit.serve.version import Array, Spec
from toolkit.serve.wrong import described, sizes

DATATYPES = {
    "bool": "BOOL", "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "float16": "FP16", "float32": "FP32", "float64": "FP64", "str": "BYTES",
}  # fmt: skip
"""numpy's name of a dtype, 'str' for texts -> the protocol's."""

BINARY = "binary_data_size"
"""The parameter that says how many bytes a tensor is."""


def read_inputs(
    tensors: Any, specs: tuple[Spec, ...], body: bytes, start: int | None
) -> dict[str, Array]:
    """Arrays [n, ...] by input name, of a request's 'inputs'.

    Args:
        tensors: what JSON gave.
        specs: the model's inputs.
        body: holds tensors that are sent as bytes.
        start: where the first of them begins; None where none may be.

    Raises:
        RequestError: says which tensor does not fit and how.
    """
    if type(tensors) is not list or not tensors:
        raise RequestError("inputs: expected a list of tensors, one at least; send one an input")
    known = {spec.name: spec for spec in specs}
    place = len(body) if start is None else start
    inputs: dict[str, Array] = {}
    for index, tensor in enumerate(tensors):
        spec = _spec(tensor, known, f"inputs[{index}]")
        if spec.name in inputs:
            raise RequestError(f"inputs[{index}]: input {spec.name} is given twice; give it once")
        shape = _shape(tensor, spec)
        size = _size(tensor, spec)
        if size is None:
            inputs[spec.name] = _from_json(tensor, spec, shape)
            continue
        if size > len(body) - place or start is None:
            refuse_size(spec, size, len(body) - place, start)
        inputs[spec.name] = decode(body, place, size, spec, shape)
        place += size
    check_end(body, place)
    by_name(specs, inputs, "inputs")
    same_count(specs, inputs)
    return inputs


def _spec(tensor: Any, known: dict[str, Spec], where: str) -> Spec:
    """The input that a tensor of the request is for; its datatype must be the input's."""
    if type(tensor) is not dict:
        raise RequestError(f"{where}: expected an object with name, shape, datatype and data")
    name = tensor.get("name")
    if type(name) is not str:
        names = ", ".join(known)
        raise RequestError(f"{where}: name: expected the name of an input, one of {names}")
    spec = known.get(name)
    if spec is None:
        unknown(name, list(known), where)
    wanted, got = DATATYPES[spec.dtype], tensor.get("datatype")
    if got != wanted:
        given = "none" if got is None else reprlib.repr(got)
        raise RequestError(
            f"input {name}: expected datatype {wanted} ({described(spec)}), got {given}; convert "
            "the values"
        )
    return spec


def _shape(tensor: dict[str, Any], spec: Spec) -> list[int]:
    """A shape that the model takes: claimed only, nothing is that large yet."""
    shape = tensor.get("shape")
    if type(shape) is list and _fits(shape, spec):
        return shape
    got = "no shape" if shape is None else f"shape {reprlib.repr(shape)}"
    if shape and type(shape) is list and shape[0] == 0 and type(shape[0]) is int:
        got = f"no samples, {got}"
    raise RequestError(
        f"input {spec.name}: expected shape {sizes(spec.shape)} ({described(spec)}), got {got}; "
        "send whole numbers above 0 that fit"
    )


def _fits(shape: list[Any], spec: Spec) -> bool:
    if len(shape) != len(spec.shape) or set(map(type, shape)) - {int}:
        return False
    pairs = zip(shape[1:], spec.shape[1:], strict=True)
    return min(shape, default=1) > 0 and all(b is None or a == b for a, b in pairs)


def _from_json(tensor: dict[str, Any], spec: Spec, shape: list[int]) -> Array:
    """Data of JSON, nested or flat."""
    data = tensor.get("data")
    if type(data) is not list:
        raise RequestError(f"input {spec.name}: data: expected a list of values, got none")
    where = f"the data of input {spec.name}"
    if data and type(data[0]) is list and len(shape) > 1:
        made = array(data, Spec(spec.name, tuple(shape), spec.dtype), where)
        if len(made) != shape[0]:
            _refuse_count(spec, shape, made.size)
        return made
    count = math.prod(shape)
    if len(data) != count:
        _refuse_count(spec, shape, len(data))
    return array(data, Spec(spec.name, (count,), spec.dtype), where).reshape(shape)


def _size(tensor: dict[str, Any], spec: Spec) -> int | None:
    """How many bytes after the JSON are the tensor; None where it is in the JSON."""
    if "parameters" not in tensor:
        return None
    where = f"input {spec.name}"
    parameters = parameters_of(tensor, where)
    for name in parameters:
        if name.startswith("shared_memory"):
            raise RequestError(f"{where}: {name}: expected data, got shared memory; send the data")
    size = parameters.get(BINARY)
    if size is None:
        return None
    if type(size) is not int or size < 0:
        got = reprlib.repr(size)
        raise RequestError(
            f"{where}: {BINARY}: expected a number of bytes, got {got}; send how many"
        )
    if "data" in tensor:
        raise RequestError(f"{where}: expected data or {BINARY}, got both; send one")
    return size


def check_end(body: bytes, place: int) -> None:
    """Refuse what comes after the last tensor."""
    if place != len(body):
        raise RequestError(
            f"expected the body to end after the tensors, got {len(body) - place} bytes more; "
            f"send {BINARY} with each input that is sent as bytes"
        )


def refuse_size(spec: Spec, size: int, left: int, start: int | None) -> NoReturn:
    """Refuse a tensor that is longer than what is left, or whose JSON has no length."""
    if start is None:
        raise RequestError(
            f"input {spec.name}: {BINARY}: expected the header Inference-Header-Content-Length "
            "with the length of the JSON, got none; send it"
        )
    raise RequestError(
        f"input {spec.name}: {BINARY}: expected {left} at most, the bytes that are left of the "
        f"body, got {size}; send the whole tensor"
    )


def _refuse_count(spec: Spec, shape: list[int], got: int) -> NoReturn:
    raise RequestError(
        f"input {spec.name}: expected {math.prod(shape)} values for shape {shape}, got {got}; send "
        "as many as the shape says"
    )
