"""Are outputs as near to the golden ones as a device's may be? The self-test and servers ask it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.decision import decide

if TYPE_CHECKING:
    from edge.bundle_entries import Tolerance

_FREE_ERROR = 0.02
"""Without a limit from export: how much further from the reference a device may be, in its range.

Integer kernels differ between processors by a step here and there.
"""


def compared(
    stated: Tolerance,
    expected: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    first: str,
    decision: str,
) -> tuple[dict[str, Any], str]:
    """What was measured, and what is wrong with it; empty if nothing is.

    Args:
        stated: how far the model was from the reference at export.
        expected: golden outputs [n, ...] by name.
        outputs: what the model answered here.
        first: name of the output that decides.
        decision: how it is read: 'argmax', 'sign' or 'value'.
    """
    missing = set(expected) - set(outputs)
    if missing:
        return {}, f"the model has no output {', '.join(sorted(missing))}"
    for name, array in expected.items():
        if outputs[name].shape != array.shape:
            got, wanted = list(outputs[name].shape), list(array.shape)
            return {}, f"output {name} has shape {got}, expected {wanted}"
    error = max(scaled_error(array, outputs[name]) for name, array in expected.items())
    limit = stated.limit if stated.limit is not None else (stated.error or 0.0) + _FREE_ERROR
    count = len(next(iter(expected.values())))
    agreement = _agreement(expected.get(first), outputs[first], decision)
    facts = {"error": error, "limit": limit, "agreement": agreement, "samples": count}
    if not error <= limit:
        return facts, f"error {error:.3g} is over the limit of {limit:.3g}"
    # One sample of slack: where an answer is a tie but for rounding, processors differ.
    least = (stated.agreement or 0.0) - 1 / count
    if agreement is not None and agreement < least:
        return facts, f"agrees on {agreement:.4g} of the samples, {stated.agreement:.4g} at export"
    return facts, ""


def scaled_error(expected: np.ndarray, got: np.ndarray) -> float:
    """Greatest absolute difference divided by the reference's range; infinite for no number."""
    wide = expected.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        spread = float(wide.max() - wide.min()) or float(np.abs(wide).max())
        greatest = float(np.abs(got.astype(np.float64) - wide).max())
    error = greatest / spread if spread else (math.inf if greatest else 0.0)
    return error if math.isfinite(error) else math.inf


def _agreement(expected: np.ndarray | None, got: np.ndarray, decision: str) -> float | None:
    """Share of samples with the same answer; None where the answer is a value."""
    if expected is None or decision == "value":
        return None
    if not np.isfinite(got).all():
        return 0.0
    same = decide(expected, decision) == decide(got, decision)
    return float(same.reshape(len(same), -1).all(axis=1).mean())
