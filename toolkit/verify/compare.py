"""The pure comparison of a candidate's outputs with the trained model's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge.decision import decide
from toolkit.recipe import Array
from toolkit.verify.distances import (
    Column,
    Place,
    relative,
    scaled_error,
    snr,
    span,
    worst,
    worst_columns,
)
from toolkit.verify.gates import Gate
from toolkit.verify.metric import Drop

__all__ = ["NEAR", "Comparison", "compare", "judge", "refuse_vacuous", "scaled_error"]

_FEW = 100  # samples of which one alone may be more than a drop that is allowed

NEAR = 0.05
"""Where nobody said how far a value may move: this share of the reference's range."""


@dataclass(frozen=True)
class Comparison:
    """How far a candidate is from its reference.

    Attributes:
        error: greatest absolute difference over all outputs, each divided by the range of its
            reference.
        kept: share of samples whose decision is unchanged, 0 to 1.
        accounted: the same, with true ties counted as unchanged.
        snr: signal to noise ratio of the worst output in dB; infinite where nothing differs.
        worst: where the error is.
        column: the worst column, or None where none is judged by itself.
        whole: RMS error of the output that decides, in its standard deviations.
        tolerance: by how much a value may move and still count as kept; None for classes.
    """

    error: float
    kept: float
    accounted: float
    snr: float
    worst: Place
    column: Column | None
    whole: float
    tolerance: float | None = None


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
    tolerance: float | None,
    gate: Gate,
) -> Comparison:
    """Compare outputs by name, each [n, ...].

    Args:
        reference: the trained model's outputs.
        candidate: the exported file's outputs for the same inputs.
        decision: how an output becomes an answer, applied to the first output.
        tolerance: for decision 'value': distance that leaves an answer unchanged; None for `NEAR`.
        gate: says what is a tie, and what is rounding.

    Raises:
        ValueError: names or shapes differ.
    """
    if set(reference) != set(candidate):
        raise ValueError(f"outputs are {sorted(candidate)}, expected {sorted(reference)}")
    places, columns, ratios = [], list[Column](), []
    first = next(iter(reference))
    for name, expected in reference.items():
        got = candidate[name]
        if got.shape != expected.shape:
            raise ValueError(f"output {name!r} has shape {got.shape}, expected {expected.shape}")
        places.append(worst(name, expected, got))
        ratios.append(snr(expected, got))
        if name != first or decision == "value":
            columns += worst_columns(name, expected, got, gate.rounding)
    place = max(places, key=lambda place: place.error)
    if decision != "value":
        tolerance = None
    elif tolerance is None:
        tolerance = NEAR * span(reference[first].astype(np.float64))
    kept, accounted = _kept(reference[first], candidate[first], decision, tolerance, gate)
    return Comparison(
        error=place.error,
        kept=kept,
        accounted=accounted,
        snr=min(ratios),
        worst=place,
        column=max(columns, key=lambda column: column.error, default=None),
        whole=relative(reference[first], candidate[first]),
        tolerance=tolerance,
    )


def judge(result: Comparison, precision: str, gate: Gate, drop: Drop | None = None) -> str:
    """Return why the file fails, or ''.

    Args:
        result: how far its outputs are off.
        precision: of the file, for the message.
        gate: what it must keep to.
        drop: the loss of the metric, where there is one.
    """
    return (
        _wrong_numbers(result, precision, gate)
        or _wrong_columns(result, gate)
        or ("" if drop is None else _too_great(drop, gate))
    )


def _wrong_numbers(result: Comparison, precision: str, gate: Gate) -> str:
    if gate.error is not None and not result.error <= gate.error:
        limit = f"error {result.error:.1e} is above the limit {gate.error:.0e} for {precision}"
        return f"{limit}: {result.worst}"
    if not math.isfinite(result.error):
        return f"error inf: {result.worst}"
    if result.accounted >= gate.agreement:
        return ""
    what = "decisions changed"
    if result.tolerance is not None:
        what = f"values moved by more than {result.tolerance:g}"
    allowed = f"more than the {1 - gate.agreement:.1%} that {precision} may change"
    return f"{1 - result.kept:.1%} of the {what}, {allowed}"


def _wrong_columns(result: Comparison, gate: Gate) -> str:
    column = result.column
    if column is not None and not column.error <= gate.column:
        return (
            f"output {column.output!r}: column {column.number} of axis {column.axis} has an RMS "
            f"error of {column.error:.2g} of its own spread, above the limit {gate.column:g}; it "
            "may share its scale with columns of another range"
        )
    if gate.whole is not None and not result.whole <= gate.whole:
        return (
            f"the RMS error is {result.whole:.2g} of the outputs' spread, above the limit "
            f"{gate.whole:g}: {result.worst}"
        )
    return ""


def _too_great(drop: Drop, gate: Gate) -> str:
    # one sample of fifty is a drop of 2 %, and may be chance; NaN fails
    chance = drop.samples < _FEW and drop.low <= 0 and not gate.strict
    if drop.drop <= gate.drop or chance:
        return ""
    return (
        f"{drop.metric} drops by {drop.drop:.2%} ({drop.low:.2%} to {drop.high:.2%}), more than "
        f"{gate.drop:.2%}: {drop.before:.4g} before, {drop.after:.4g} after"
    )


def _kept(
    expected: Array, got: Array, decision: str, tolerance: float | None, gate: Gate
) -> tuple[float, float]:
    """Share of samples whose decision is unchanged, and that with true ties."""
    if not np.isfinite(got).all():
        return 0.0, 0.0
    wide, count = expected.astype(np.float64), len(expected)
    spread = span(wide)
    tie = gate.tie(count) * spread
    before, after = np.asarray(decide(expected, decision)), np.asarray(decide(got, decision))
    if decision == "value":  # in float64: small integers would wrap around
        distance = np.abs(after.astype(np.float64) - before.astype(np.float64))
        same = distance <= (tolerance or 0.0)
        tied = distance <= (gate.error or 0.0) * spread
    elif decision == "sign":
        same = after == before
        tied = np.abs(wide.reshape(-1)) < tie
    else:
        same = after == before
        chosen = np.take_along_axis(wide, after[..., None], axis=-1)[..., 0]
        tied = wide.max(axis=-1) - chosen < tie

    def share(good: Array) -> float:
        return float(good.reshape(count, -1).all(axis=1).mean())

    return share(same), share(same | tied)
