"""Steps about numbers and shapes: cast, scale, standardize, reshape, transpose, one_hot, log."""

from __future__ import annotations

import numpy as np

from edge.steps_fields import (
    MAX_SIZE,
    Family,
    Run,
    Step,
    bounded,
    choice,
    first,
    is_number,
    number,
    shown,
    whole,
)

CASTS = ("float16", "float32", "int8", "uint8", "int16", "int32", "int64")
LOGS = ("e", "2", "10")
MAX_DEPTH = 1 << 20


def _cast_problem(step: Step) -> str:
    known = step["dtype"] in CASTS
    return "" if known else f"dtype {shown(step['dtype'])} is not one of {', '.join(CASTS)}"


def _standardize_problem(step: Step) -> str:
    for field in ("mean", "std"):
        value = step[field]
        values = value if isinstance(value, (list, tuple)) else [value]
        if not values or not all(is_number(item) for item in values):
            return f"{field} is {shown(value)}, not a finite number that float32 can hold"
        if field == "std" and not all(np.float32(item) > 0 for item in values):
            return f"std is {shown(value)}; it must be above 0"
    return ""


def _reshape_problem(step: Step) -> str:
    shape = step["shape"]
    if not isinstance(shape, (list, tuple)) or not all(
        type(size) is int and (0 < size <= MAX_SIZE or size == -1) for size in shape
    ):
        return f"shape is {shown(shape)}, not a list of sizes above 0"
    return "shape may have -1 only once" if list(shape).count(-1) > 1 else ""


def _transpose_problem(step: Step) -> str:
    axes = step["axes"]
    if not isinstance(axes, (list, tuple)) or not all(type(axis) is int for axis in axes):
        return f"axes is {shown(axes)}, not a list of whole numbers"
    good = sorted(axes) == list(range(len(axes)))
    return "" if good else f"axes is {shown(axes)}, not 0, 1, ... once"


def _cast(step: Step) -> Run:
    """To integers: rounded half to even and clipped to the dtype's range.

    What C does with a float that does not fit an integer differs between x86 and ARM, hence the
    clip. Beyond 2**53 float64 cannot tell integers apart, so there int64 is clipped, too.
    """
    target = np.dtype(step["dtype"])

    def to_float(batch: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return batch.astype(target, copy=False)

    def to_integer(batch: np.ndarray) -> np.ndarray:
        if batch.dtype == target:
            return batch
        limits = np.iinfo(step["dtype"])
        low, high = max(limits.min, -(2**53)), min(limits.max, 2**53)
        rounded = np.rint(batch, dtype=np.float64)
        if batch.dtype.kind == "f" and np.isnan(rounded).any():
            raise ValueError("NaN is no integer")
        whole: np.ndarray = np.clip(rounded, low, high, out=rounded).astype(target)
        return whole

    return to_float if target.kind == "f" else to_integer


def _scale(step: Step) -> Run:
    factor, offset = np.float32(step["factor"]), np.float32(step.get("offset", 0.0))

    def run(batch: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = np.multiply(batch, factor, dtype=np.float32)
        scaled += offset
        return scaled

    return run


def _standardize(step: Step) -> Run:
    mean, std = np.float32(step["mean"]), np.float32(step["std"])

    def run(batch: np.ndarray) -> np.ndarray:
        for field, value in (("mean", mean), ("std", std)):
            if np.ndim(value) and np.shape(value) != batch.shape[-1:]:
                count = np.size(value)
                raise ValueError(f"{field} has {count} numbers, one for each column is needed")
        standard: np.ndarray = np.subtract(batch, mean, dtype=np.float32)
        standard /= std
        return standard

    return run


def _reshape(step: Step) -> Run:
    shape = tuple(step["shape"])
    return lambda batch: batch.reshape((len(batch), *shape))


def _transpose(step: Step) -> Run:
    axes = (0, *(axis + 1 for axis in step["axes"]))
    return lambda batch: batch.transpose(axes)


def _one_hot(step: Step) -> Run:
    """A row of zeros with a one for each whole number, float32."""
    depth = step["depth"]

    def run(batch: np.ndarray) -> np.ndarray:
        bounded((*batch.shape[1:], depth))
        with np.errstate(invalid="ignore"):
            places = batch.astype(np.int64)
        wrong = (places != batch) | (places < 0) | (places >= depth)
        if wrong.any():
            raise ValueError(f"{batch[wrong].flat[0]} is not a whole number from 0 to {depth - 1}")
        hot = np.zeros((*batch.shape, depth), np.float32)
        np.put_along_axis(hot, places[..., np.newaxis], 1.0, axis=-1)
        return hot

    return run


def _log(step: Step) -> Run:
    """In float64, rounded once: the float32 logarithms of CPUs differ in their last bit."""
    function = {"e": np.log, "2": np.log2, "10": np.log10}[step.get("base", "e")]
    floor, offset = np.float32(step["floor"]), np.float32(step.get("offset", 0.0))

    def run(batch: np.ndarray) -> np.ndarray:
        values = np.add(batch, offset, dtype=np.float32)
        high = np.maximum(values, floor, out=values).astype(np.float64)
        logarithm: np.ndarray = function(high, out=high).astype(np.float32)
        return logarithm

    return run


FAMILY: Family = (
    {
        "cast": _cast_problem,
        "scale": lambda step: first(number(step, "factor"), number(step, "offset")),
        "standardize": _standardize_problem,
        "reshape": _reshape_problem,
        "transpose": _transpose_problem,
        "one_hot": lambda step: whole(step, "depth", 1, MAX_DEPTH),
        "log": lambda step: first(
            number(step, "floor", 0), number(step, "offset"), choice(step, "base", LOGS)
        ),
    },
    {
        "cast": _cast,
        "scale": _scale,
        "standardize": _standardize,
        "reshape": _reshape,
        "transpose": _transpose,
        "one_hot": _one_hot,
        "log": _log,
    },
)
