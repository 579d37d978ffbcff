"""What is wrong with values that arrays.py could not take, and where: slow, for errors only."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NoReturn

import numpy as np

from toolkit.serve.errors import RequestError
from toolkit.serve.values import flat, text
from toolkit.serve.version import Spec


def described(spec: Spec) -> str:
    """Dtype and shape, such as float32[n, 28, 28, 1]."""
    return f"{spec.dtype}{sizes(spec.shape)}"


def sizes(shape: Sequence[int | None]) -> str:
    """A shape for people: the first axis counts samples, others may be of any size."""
    words = ["any" if size is None else str(size) for size in shape]
    return f"[{', '.join(['n', *words[1:]] if words and shape[0] is None else words)}]"


def refuse(value: Any, spec: Spec, where: str) -> NoReturn:
    """Raise the RequestError for a value that is not as the spec says."""
    shape, level = _unpacked(value, spec, where)
    if not _fits(shape, spec):
        _refuse_shape(shape, spec, where)
    _refuse_value(level, shape, spec, where)


def _unpacked(value: Any, spec: Spec, where: str) -> tuple[list[int], list[Any]]:
    """The shape of nested lists and their values; raises RequestError where lengths differ."""
    level, shape = [value], list[int]()
    while True:
        types = list(map(type, level))
        if list not in types:
            return shape, level
        if types.count(list) < len(types):
            other = next(kind for kind in types if kind is not list)
            _refuse_mix(level[types.index(other)], _place(types.index(other), shape), spec, where)
        lengths = list(map(len, level))
        different = set(lengths) - {lengths[0]}
        if different:
            place = lengths.index(different.pop())
            raise RequestError(
                f"input {spec.name}: expected {described(spec)}, got lists that differ in length "
                f"in {where}: {lengths[0]} at {_place(0, shape)}, {lengths[place]} at "
                f"{_place(place, shape)}; send lists of the same length"
            )
        shape.append(lengths[0])
        level = list(chain.from_iterable(level))
        if not level:
            return shape, level


def _refuse_mix(value: Any, place: str, spec: Spec, where: str) -> NoReturn:
    raise RequestError(
        f"input {spec.name}: expected {described(spec)}, got {_kind(value)} among lists at {place} "
        f"of {where}; send lists nested as the shape says"
    )


def _fits(shape: Sequence[int], spec: Spec) -> bool:
    pairs = list(zip(shape, spec.shape, strict=False))[1:]
    return (
        len(shape) == len(spec.shape)
        and 0 not in shape
        and all(wanted is None or size == wanted for size, wanted in pairs)
    )


def _refuse_shape(shape: Sequence[int], spec: Spec, where: str) -> NoReturn:
    wanted = f"input {spec.name}: expected {described(spec)}, got"
    if shape and shape[0] == 0:
        raise RequestError(f"{wanted} no samples in {where}; send one sample at least")
    given = f"{list(shape)}" if shape else "one bare value"
    hint = "send sizes as expected"
    if len(shape) == len(spec.shape) - 1 and _fits([1, *shape], spec):
        hint = "send a list of samples, if of one only"
    elif len(shape) != len(spec.shape):
        hint = f"send lists nested {len(spec.shape)} deep"
    raise RequestError(f"{wanted} {given} in {where}; {hint}")


def _refuse_value(level: list[Any], shape: Sequence[int], spec: Spec, where: str) -> NoReturn:
    """Halve the values until one that does not fit is left."""
    first, count = 0, len(level)
    while count > 1:
        half = count // 2
        if _is_good(level[first : first + half], spec):
            first, count = first + half, count - half
        else:
            count = half
    value = level[first]
    place = f"at {_place(first, shape)} of {where}" if shape else f"in {where}"
    problem = _problem(value, spec)
    raise RequestError(f"input {spec.name}: expected {described(spec)}, got {problem} {place}")


def _is_good(values: list[Any], spec: Spec) -> bool:
    try:
        flat(values, spec)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _problem(value: Any, spec: Spec) -> str:
    """What a value is instead of what the spec says."""
    if spec.dtype == "str":
        try:
            text(value)
        except ValueError as error:
            return f'{{"b64": ...}} that is {error}'
        except TypeError:
            return f"{_kind(value)}, no text"
    if spec.dtype == "bool":
        return f"{_kind(value)}, not true or false"
    if type(value) not in (int, float):
        return f"{_kind(value)}, not a number"
    if spec.dtype[0] != "f" and value != int(value):
        return f"{value!r}, not a whole number"
    limits = np.finfo(spec.dtype) if spec.dtype[0] == "f" else np.iinfo(spec.dtype)
    return f"{value!r}, out of the range {limits.min} to {limits.max}"


def _kind(value: Any) -> str:
    """A value as JSON calls it, shortened."""
    if value is None or type(value) is bool:
        return str({None: "null", True: "true", False: "false"}[value])
    if type(value) is str:
        return f"the text {value[:40]!r}"
    if type(value) is dict:
        return "an object"
    return "a list" if type(value) is list else repr(value)


def _place(index: int, shape: Sequence[int]) -> str:
    """The index of a value by axis, such as [0][3]."""
    if not shape:
        return "the top"
    places = []
    for size in reversed(shape):
        index, rest = divmod(index, size)
        places.append(f"[{rest}]")
    return "".join(reversed(places))
