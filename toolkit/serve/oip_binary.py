"""Tensors as bytes, as the binary tensor extension has them: little-endian, row by row, packed.

A text is its length in 4 bytes and its UTF-8. No memory is taken for what a request only claims.
"""

import functools
import math
import struct
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from toolkit.serve.errors import RequestError
from toolkit.serve.version import Array, Spec
from toolkit.serve.wrong import described

_LENGTH = struct.Struct("<I")


@functools.cache
def _little(name: str) -> "np.dtype[Any]":
    return np.dtype(name).newbyteorder("<")


def decode(body: bytes, start: int, size: int, spec: Spec, shape: Sequence[int]) -> Array:
    """The tensor at `start` of a body, without a copy where memory is aligned; read-only then.

    Args:
        body: holds all of `start + size` bytes.
        start: where the tensor begins.
        size: its bytes.
        spec: the input; its dtype counts.
        shape: of the tensor.

    Raises:
        RequestError: the bytes are not as many as the shape needs, a bool is neither 0 nor 1, or a
            text is not UTF-8.
    """
    count = math.prod(shape)
    if spec.dtype == "str":
        return _texts(body, start, start + size, count, spec).reshape(shape)
    dtype = _little(spec.dtype)
    if size != count * dtype.itemsize:
        raise RequestError(
            f"input {spec.name}: expected {count * dtype.itemsize} bytes for {spec.dtype}"
            f"{list(shape)}, got {size}; send as many as the shape says"
        )
    if dtype.kind == "b":
        found = np.frombuffer(body, np.uint8, count, start)
        if (found > 1).any():
            raise RequestError(
                f"input {spec.name}: expected bytes 0 or 1 for bool, got {found[found > 1][0]}; "
                "send a byte a value"
            )
        return found.view(np.bool_).reshape(shape)
    array = np.frombuffer(body, dtype, count, start)
    if not array.flags.aligned:
        array = array.copy()
    return array.reshape(shape)


def decode_raw(body: bytes, spec: Spec) -> Array:
    """The only tensor of a body without JSON: as many samples as there are bytes for.

    A text is the body itself. Where one size besides the samples is free, the body is one sample.

    Raises:
        RequestError: no shape follows from the number of bytes.
    """
    if spec.dtype == "str":
        return np.array([_decoded(body, spec, 0)], np.object_)
    sizes = list(spec.shape)
    free = [axis for axis, size in enumerate(sizes) if size is None]
    if len(free) == 2 and free[0] == 0:
        sizes[0] = 1
        free = free[1:]
    item = math.prod(size or 1 for size in sizes) * np.dtype(spec.dtype).itemsize
    if len(free) > 1 or not body or len(body) % item or (not free and len(body) != item):
        raise RequestError(
            f"input {spec.name}: expected {described(spec)} of {item} bytes each, got {len(body)} "
            "bytes without JSON; send whole samples, or say the shape in JSON"
        )
    if free:
        sizes[free[0]] = len(body) // item
    return decode(body, 0, len(body), spec, [size or 0 for size in sizes])


def encode(array: Array) -> bytes:
    """The bytes of a tensor."""
    if array.dtype.kind == "O":
        return b"".join(map(_framed, array.reshape(-1).tolist()))
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _framed(value: str) -> bytes:
    content = value.encode()
    return _LENGTH.pack(len(content)) + content


def _texts(body: bytes, start: int, end: int, count: int, spec: Spec) -> Array:
    if count * _LENGTH.size > end - start:
        raise RequestError(
            f"input {spec.name}: expected {count} texts of 4 bytes of length and the text, got "
            f"{end - start} bytes for all; send as many as the shape says"
        )
    made = np.empty(count, np.object_)
    for index in range(count):
        if start + _LENGTH.size > end:
            _refuse_cut(spec, index, _LENGTH.size, end - start)
        (length,) = _LENGTH.unpack_from(body, start)
        start += _LENGTH.size
        if start + length > end:
            _refuse_cut(spec, index, length, end - start)
        made[index] = _decoded(body[start : start + length], spec, index)
        start += length
    if start != end:
        raise RequestError(
            f"input {spec.name}: expected {count} texts, got {end - start} bytes after the last; "
            "send as many as the shape says"
        )
    return made


def _refuse_cut(spec: Spec, index: int, expected: int, got: int) -> NoReturn:
    raise RequestError(
        f"input {spec.name}: text {index} is cut off: expected {expected} bytes more, got {got}; "
        "send 4 bytes of length, little-endian, and the text"
    )


def _decoded(content: bytes, spec: Spec, index: int) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise RequestError(
            f"input {spec.name}: text {index}: expected UTF-8, got something else at byte "
            f"{error.start}; send text in UTF-8"
        ) from error
