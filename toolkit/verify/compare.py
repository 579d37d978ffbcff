"""The pure comparison of a candidate's outputs with the trained model's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge.decision import decide
from toolkit.recipe import Array

# Greatest allowed error by precision, in units of the reference's range.
ERROR_LIMITS = {"fp32": 1e-4}


@dataclass(frozen=True)
class Comparison:
    """How far a candidate is from its reference.

    Attributes:
        error: greatest absolute difference over all outputs, each divided by the range of its
            reference.
        kept: share of samples whose decision is unchanged, 0 to 1.
    """

    error: float
    kept: float


def refuse_vacuous(reference: Mapping[str, Array]) -> str:
    """Return why these outputs prove nothing, or '' when they can prove something."""
    if not reference:
        return "the reference has no output"
    for name, array in reference.items():
        if array.size == 0:
            return f"reference output {name!r} is empty"
        if not np.isfinite(array).all():
            return f"reference output {name!r} holds NaN or infinity"
        if not array.any():
            return f"reference output {name!r} is zero everywhere, which any broken file matches"
        if len(array) > 1 and (array == array[:1]).all():
            return f"reference output {name!r} is the same for every sample"
    return ""


def compare(
    reference: Mapping[str, Array],
    candidate: Mapping[str, Array],
    decision: str,
    tolerance: float,
) -> Comparison:
    """Compare outputs by name, each [n, ...].

    Args:
        reference: the trained model's outputs.
        candidate: the exported file's outputs for the same inputs.
        decision: how an output becomes an answer, applied to the first output.
        tolerance: for decision 'value': distance that leaves an answer unchanged.

    Raises:
        ValueError: names or shapes differ.
    """
    if set(reference) != set(candidate):
        raise ValueError(f"outputs are {sorted(candidate)}, expected {sorted(reference)}")
    error = 0.0
    for name, expected in reference.items():
        got = candidate[name]
        if got.shape != expected.shape:
            raise ValueError(f"output {name!r} has shape {got.shape}, expected {expected.shape}")
        error = max(error, scaled_error(expected, got))
    first = next(iter(reference))
    return Comparison(error, _kept(reference[first], candidate[first], decision, tolerance))


def scaled_error(expected: Array, got: Array) -> float:
    """Greatest absolute difference divided by the reference's range; infinite for no number."""
    wide = expected.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        spread = float(wide.max() - wide.min()) or float(np.abs(wide).max())
        greatest = float(np.abs(got.astype(np.float64) - wide).max())
    error = greatest / spread if spread else (math.inf if greatest else 0.0)
    return error if math.isfinite(error) else math.inf


def _kept(expected: Array, got: Array, decision: str, tolerance: float) -> float:
    if not np.isfinite(got).all():
        return 0.0
    before, after = np.asarray(decide(expected, decision)), np.asarray(decide(got, decision))
    if decision == "value":  # in float64: small integers would wrap around
        same = np.abs(after.astype(np.float64) - before.astype(np.float64)) <= tolerance
    else:
        same = after == before
    return float(same.reshape(len(same), -1).all(axis=1).mean())
