"""Steps about what a model answers: softmax, sigmoid, argmax, top_k, threshold, dequantise.

Exponentials are done in float64 and rounded once to float32, because those of CPUs differ. Where
two values are equal the first one wins. NaN is refused where it would look like a real answer.
"""

from __future__ import annotations

import numpy as np

from edge.quantisation import dequantise
from edge.steps_fields import Family, Run, Step, bounded, first, number, whole
from edge.tensor import Tensor

_MAX_K = 1 << 16
_MAX_CLASSES = 1 << 24  # float32 can count that far


def _softmax(_: Step) -> Run:
    def run(batch: np.ndarray) -> np.ndarray:
        _need_classes(batch)
        values = batch.astype(np.float64)
        values -= values.max(axis=-1, keepdims=True)
        np.exp(values, out=values)
        values /= values.sum(axis=-1, keepdims=True)
        return values.astype(np.float32)

    return run


def _sigmoid(_: Step) -> Run:
    def run(batch: np.ndarray) -> np.ndarray:
        values = batch.astype(np.float64)
        # exp of what is not above 0 cannot overflow: 1 / (1 + e^-|x|), or 1 minus that
        small = np.exp(-np.abs(values))
        result: np.ndarray = np.where(values >= 0, 1.0, small) / (1.0 + small)
        return result.astype(np.float32)

    return run


def _argmax(_: Step) -> Run:
    def run(batch: np.ndarray) -> np.ndarray:
        _need_classes(batch)
        _refuse_nan(batch)
        return np.asarray(batch.argmax(axis=-1), dtype=np.int64)

    return run


def _top_k(step: Step) -> Run:
    """Pairs of class and value, the greatest first: float32 [..., classes] -> [..., k, 2]."""
    k = step["k"]

    def run(batch: np.ndarray) -> np.ndarray:
        _need_classes(batch)
        _refuse_nan(batch)
        if not k <= batch.shape[-1] <= _MAX_CLASSES:
            raise ValueError(f"there are {batch.shape[-1]} values, k is {k}")
        bounded((*batch.shape[1:-1], k, 2))
        values = batch.astype(np.float32, copy=False)
        order = np.argsort(-values, axis=-1, kind="stable")[..., :k]
        return np.stack([order.astype(np.float32), np.take_along_axis(values, order, -1)], axis=-1)

    return run


def _threshold(step: Step) -> Run:
    above = np.float32(step["above"])

    def run(batch: np.ndarray) -> np.ndarray:
        _refuse_nan(batch)
        return (batch.astype(np.float32, copy=False) > above).astype(np.int64)

    return run


def _dequantise(step: Step) -> Run:
    pair = (float(step["scale"]), step["zero_point"])
    tensor = Tensor("output", (None,), "float32", pair)

    def run(batch: np.ndarray) -> np.ndarray:
        if batch.dtype.kind not in "iu":
            raise ValueError(f"{batch.dtype} is no integer")
        return dequantise(batch, tensor)

    return run


def _need_classes(batch: np.ndarray) -> None:
    if batch.ndim < 2 or batch.shape[-1] == 0:
        raise ValueError("the last axis must hold the classes")


def _refuse_nan(batch: np.ndarray) -> None:
    if batch.dtype.kind == "f" and np.isnan(batch).any():
        raise ValueError("there is NaN in it")


def _nothing(_: Step) -> str:
    return ""


FAMILY: Family = (
    {
        "softmax": _nothing,
        "sigmoid": _nothing,
        "argmax": _nothing,
        "top_k": lambda step: whole(step, "k", 1, _MAX_K),
        "threshold": lambda step: number(step, "above"),
        "dequantise": lambda step: first(
            number(step, "scale", 0), whole(step, "zero_point", -(2**31), 2**31 - 1)
        ),
    },
    {
        "softmax": _softmax,
        "sigmoid": _sigmoid,
        "argmax": _argmax,
        "top_k": _top_k,
        "threshold": _threshold,
        "dequantise": _dequantise,
    },
)
