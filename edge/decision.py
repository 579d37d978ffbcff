"""From a model's output to an answer a sample: a class, a yes or no, or the value itself."""

from __future__ import annotations

import numpy as np

from edge.errors import BrokenRuntimeError, InputError

DECISIONS = ("argmax", "sign", "value")


def decide(outputs: np.ndarray, decision: str) -> np.ndarray:
    """The answer of every sample; outputs are [n, ...].

    argmax  the position of the largest value along the last axis, int64 [n] for outputs [n, k]
    sign    1 where the value is above 0, else 0, int64 [n]; outputs [n] or [n, 1]
    value   the output as it is: [n] if each sample has one value, else [n, ...]

    Raises InputError if the decision is unknown or the outputs' shape does not suit it, and
    BrokenRuntimeError if a class or a yes/no would have to be read from NaN.
    """
    if decision not in DECISIONS:
        raise InputError(f"decision {decision!r} is not one of {', '.join(DECISIONS)}")
    single = outputs.ndim >= 1 and outputs.size == len(outputs)
    if decision == "value":
        return outputs.reshape(-1) if single else outputs
    if decision == "sign":
        if not single:
            raise InputError(f"sign needs one value a sample, got outputs {list(outputs.shape)}")
        _refuse_nan(outputs, decision)
        return (outputs.reshape(-1) > 0).astype(np.int64)
    if outputs.ndim < 2 or outputs.shape[-1] == 0:
        raise InputError(f"argmax needs outputs [n, classes], got {list(outputs.shape)}")
    _refuse_nan(outputs, decision)
    return np.asarray(outputs.argmax(axis=-1), dtype=np.int64)


def _refuse_nan(outputs: np.ndarray, decision: str) -> None:
    """NaN compares as false and wins argmax: both would look like a real answer."""
    if outputs.dtype.kind != "f":
        return
    broken = np.flatnonzero(np.isnan(outputs).any(axis=tuple(range(1, outputs.ndim))))
    if len(broken):
        raise BrokenRuntimeError(
            f"the model answered NaN for {len(broken)} of {len(outputs)} samples, first for sample "
            f"{broken[0]}: {decision} cannot decide\n"
            "check the preprocessing, or verify the export again"
        )
