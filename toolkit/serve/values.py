"""Lists of numbers or texts, as JSON has them, to arrays of one axis.

Types are looked at for a list as a whole, so that no work is done for each number in Python.
"""

import array as memory
import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.serve.version import Array, Spec

_NUMBERS = ({float}, {int}, {int, float})
_CODES = {
    "float32": "f", "float64": "d", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H",
    "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
}  # fmt: skip
"""dtype -> that of Python's arrays, which are made of short lists faster than numpy's."""


def flat(values: Sequence[Any], spec: Spec) -> Array:
    """A list of values as an array [n] of the spec's dtype.

    Raises:
        TypeError, ValueError, OverflowError: a value does not fit; `wrong.refuse` says which.
    """
    types, dtype = set(map(type, values)), spec.dtype
    if dtype == "str":
        return _texts(values, types)
    if dtype == "bool":
        if types != {bool}:
            raise TypeError
        return np.array(values, np.bool_)
    if types not in _NUMBERS:
        raise TypeError
    if dtype[0] == "f":
        return _floats(values, dtype)
    if float in types:
        values = list(map(_whole, values))
    return np.frombuffer(memory.array(_CODES[dtype], values), dtype)


def _floats(values: Sequence[Any], dtype: str) -> Array:
    """Numbers that are finite in the dtype."""
    if dtype == "float16":
        with np.errstate(over="ignore"):
            numbers = np.array(values, dtype)
    else:
        numbers = np.frombuffer(memory.array(_CODES[dtype], values), dtype)
    if b"\0" in np.isfinite(numbers).tobytes():
        raise OverflowError
    return numbers


def _whole(number: float) -> int:
    if type(number) is float and not number.is_integer():
        raise ValueError
    return int(number)


def _texts(values: Sequence[Any], types: set[type]) -> Array:
    """Objects, because numpy's own texts take as much memory each as the longest."""
    if types != {str}:
        values = [text(value) for value in values]
    made = np.empty(len(values), np.object_)
    made[:] = values
    return made


def text(value: Any) -> str:
    """A text, or one that is given as {"b64": BASE64}; raises TypeError or ValueError."""
    if type(value) is str:
        return value
    if not is_base64(value):
        raise TypeError("no text")
    try:
        return base64.b64decode(value["b64"], validate=True).decode()
    except binascii.Error as error:
        raise ValueError(f"no base64 ({error})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error


def is_base64(value: Any) -> bool:
    """Whether a value of JSON is {"b64": ...}."""
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str
