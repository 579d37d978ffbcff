"""Preprocessing as data: a short list of steps that travels with the model.

A step is a JSON object with the key `step` and the fields below; a batch is [n, ...]. All
arithmetic is in float32, the same on every device.

    {"step": "cast", "dtype": "uint8"}                    to integers: rounded and clipped
    {"step": "scale", "factor": 0.0625, "offset": -1}     x * factor + offset, which may be left out
    {"step": "standardize", "mean": 0.5, "std": [1, 2]}   (x - mean) / std, numbers or one a column
    {"step": "reshape", "shape": [8, 8, 1]}               shape of one sample; one size may be -1
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, Callable

import numpy as np

from edge.errors import InputError

Step = Mapping[str, Any]

CASTS = ("float16", "float32", "int8", "uint8", "int16", "int32", "int64")

FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cast": (("dtype",), ()),
    "scale": (("factor",), ("offset",)),
    "standardize": (("mean", "std"), ()),
    "reshape": (("shape",), ()),
}
"""Step name -> (fields that it needs, fields that may be left out)."""


def apply(steps: Sequence[Step], batch: np.ndarray) -> np.ndarray:
    """Run the steps in order on a batch [n, ...]; the batch itself is left as it was.

    Raises InputError if a step is wrong (see `check`) or does not fit the batch.
    """
    check(steps)
    for index, step in enumerate(steps):
        batch = _apply_one(index, step, batch)
    return batch


def check(steps: Sequence[Step]) -> None:
    """Raise InputError that names the first wrong step, by index, and its field."""
    if not isinstance(steps, (list, tuple)):
        raise InputError(f"preprocessing: expected a list of steps, got {steps!r}")
    for index, step in enumerate(steps):
        name = step.get("step") if isinstance(step, Mapping) else None
        if not isinstance(name, str):
            raise InputError(f"step {index}: expected an object with the key 'step', got {step!r}")
        if name not in FIELDS:
            raise InputError(f"step {index}: unknown step {name!r}{_nearest(name, FIELDS)}")
        needed, optional = FIELDS[name]
        for field in needed:
            if field not in step:
                raise InputError(f"step {index} ({name}): {field} is missing")
        for field in step:
            if field not in ("step", *needed, *optional):
                near = _nearest(field, (*needed, *optional))
                raise InputError(f"step {index} ({name}): unknown field {field!r}{near}")
        problem = _problem(step)
        if problem:
            raise InputError(f"step {index} ({name}): {problem}")


def raw_shape(steps: Sequence[Step], shape: Sequence[int | None]) -> tuple[int | None, ...]:
    """The shape of one sample before the steps, given the model's `shape` of one sample.

    Only `reshape` changes it. What comes before a reshape is taken as flat, unless a `standardize`
    there says how many columns it expects.
    """
    names = [step["step"] for step in steps]
    sizes = [size for size in shape if size is not None]
    if "reshape" not in names or len(sizes) < len(shape):
        return tuple(shape)
    total = math.prod(sizes)
    for step in steps[: names.index("reshape")]:
        for field in ("mean", "std"):
            columns = np.size(step.get(field, 0.0))
            if 1 < columns < total:
                return (total // columns, columns)
    return (total,)


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def _problem(step: Step) -> str:
    """What is wrong with the values of a step whose fields are right; empty if nothing is."""
    name = step["step"]
    if name == "cast":
        known = step["dtype"] in CASTS
        return "" if known else f"dtype {step['dtype']!r} is not one of {', '.join(CASTS)}"
    if name == "reshape":
        return _shape_problem(step["shape"])
    for field in step:
        if field == "step":
            continue
        value = step[field]
        values = value if name == "standardize" and isinstance(value, (list, tuple)) else [value]
        if not values or not all(_is_number(number) for number in values):
            return f"{field} is {value!r}, not a finite number that float32 can hold"
        if field == "std" and not all(np.float32(number) > 0 for number in values):
            return f"std is {value!r}; it must be above 0"
    return ""


def _shape_problem(shape: object) -> str:
    if not isinstance(shape, (list, tuple)) or not all(
        type(size) is int and (size > 0 or size == -1) for size in shape
    ):
        return f"shape is {shape!r}, not a list of sizes above 0"
    return "shape may have -1 only once" if list(shape).count(-1) > 1 else ""


def _is_number(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= float(np.finfo(np.float32).max)  # false for NaN, too


def _apply_one(index: int, step: Step, batch: np.ndarray) -> np.ndarray:
    name = step["step"]
    try:
        return _APPLY[name](step, batch)
    except ValueError as error:
        raise InputError(
            f"step {index} ({name}): does not fit samples of shape {list(batch.shape[1:])}: {error}"
        ) from error


def _cast(step: Step, batch: np.ndarray) -> np.ndarray:
    """To integers: rounded half to even and clipped to the dtype's range.

    What C does with a float that does not fit an integer differs between x86 and ARM, hence the
    clip. Beyond 2**53 float64 cannot tell integers apart, so there int64 is clipped, too.
    """
    target = np.dtype(step["dtype"])
    if target.kind == "f":
        with np.errstate(over="ignore"):
            return batch.astype(target)
    limits = np.iinfo(step["dtype"])
    low, high = max(limits.min, -(2**53)), min(limits.max, 2**53)
    whole = np.clip(np.rint(batch.astype(np.float64)), low, high)
    return whole.astype(target)


def _scale(step: Step, batch: np.ndarray) -> np.ndarray:
    factor, offset = np.float32(step["factor"]), np.float32(step.get("offset", 0.0))
    scaled: np.ndarray = batch.astype(np.float32) * factor + offset
    return scaled


def _standardize(step: Step, batch: np.ndarray) -> np.ndarray:
    mean, std = np.float32(step["mean"]), np.float32(step["std"])
    for field, value in (("mean", mean), ("std", std)):
        if np.ndim(value) and np.shape(value) != batch.shape[-1:]:
            raise ValueError(f"{field} has {np.size(value)} numbers, one for each column is needed")
    standard: np.ndarray = (batch.astype(np.float32) - mean) / std
    return standard


def _reshape(step: Step, batch: np.ndarray) -> np.ndarray:
    return batch.reshape((len(batch), *step["shape"]))


_APPLY: Mapping[str, Callable[[Step, np.ndarray], np.ndarray]] = {
    "cast": _cast,
    "scale": _scale,
    "standardize": _standardize,
    "reshape": _reshape,
}
