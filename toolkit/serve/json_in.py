"""JSON in and out: bodies with limits to plain values, and answers with arrays to bytes.

What the values mean is left to the protocols; arrays.py makes arrays of them.
"""

import base64
import json
import re
from typing import Any

import numpy as np
import orjson

from toolkit.serve.errors import RequestError

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
# One that is not closed runs to the end, and nothing is tried twice: time stays linear.
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


def parse(body: bytes, depth: int) -> Any:
    """The value of a JSON document in UTF-8.

    Args:
        body: all of it.
        depth: most lists and objects within one another.

    Raises:
        RequestError: not JSON (with the position), not UTF-8, a name twice in one object, NaN or
            infinity, which JSON does not have, or nested deeper than the limit.
    """
    _check_depth(body, depth)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(_why_not(body, error)) from error
    if body.count(b":") > 1 and not _has_all_names(body, value):
        _refuse_twins(body)
    return value


def dumps(value: Any) -> bytes:
    """JSON of plain values and numpy arrays of any dtype, order and strides.

    NaN and infinity become null, as in edge's answers: JSON has neither, and the bare NaN that
    TensorFlow Serving writes is an error to most readers. Bytes become {"b64": BASE64}.
    """
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError:  # arrays of another byte order are refused unasked
        return orjson.dumps(value, default=_native)


def _native(value: Any) -> Any:
    """As `_plain`, where orjson was not told of numpy."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.ndim:
        array = np.ascontiguousarray(value, value.dtype.newbyteorder("="))
        return orjson.Fragment(orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY))
    return _plain(value)


def _plain(value: Any) -> Any:
    """What orjson does not know as something that it does."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf" or not value.ndim:
            return value.tolist()
        return np.ascontiguousarray(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode("ascii")}
    raise TypeError(f"{type(value).__name__} has no JSON")


def _check_depth(body: bytes, depth: int) -> None:
    """Cheap where it is right: brackets are closed in pairs, one replacement a level.

    Brackets within texts may leave a rest, and only then it is counted exactly.
    """
    rest = body.translate(_BRACKETS, _NO_BRACKET)
    if len(rest) <= depth:
        return
    for _ in range(depth):
        size = len(rest)
        rest = rest.replace(b"[]", b"")
        if not rest:
            return
        if len(rest) == size:
            break
    found = np.frombuffer(_TEXT.sub(b"", body).translate(_BRACKETS, _NO_BRACKET), np.uint8)
    steps = np.where(found == ord("["), np.int8(1), np.int8(-1))
    if len(steps) and steps.cumsum(dtype=np.int32).max() > depth:
        raise RequestError(
            f"the JSON is nested deeper than {depth} lists and objects, which is the limit; "
            "send what the model's metadata describes"
        )


def _why_not(body: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError as broken:
        return f"the body is not UTF-8 at byte {broken.start}; send JSON in UTF-8"
    near = text[error.pos : error.pos + 8].lower()
    if near.startswith(("nan", "infinity", "inf")) or "infinity" in error.msg:
        return (
            f"the body is not JSON at line {error.lineno} column {error.colno}: JSON has no NaN "
            "and no infinity; send finite numbers"
        )
    return f"the body is not JSON: {error}"


def _has_all_names(body: bytes, value: Any) -> bool:
    """Whether as many names were read as the body has colons; then none was there twice.

    Looks into objects and into lists that begin with one, as long as there are braces left. False
    may also mean a colon in a text, or objects elsewhere.
    """
    braces, names = body.count(b"{"), 0
    level = [value]
    while braces and level:
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                braces -= 1
                names += len(item)
                below += item.values()
            elif type(item) is list and item and type(item[0]) is dict:
                below += item
        level = below
    return names == body.count(b":")


def _refuse_twins(body: bytes) -> None:
    """Read once more, slower, to see what is there twice."""
    json.loads(body, object_pairs_hook=_once, parse_int=float)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise RequestError(f"{name[:100]!r} is twice in one object of the JSON; give it once")
        found[name] = value
    return found
