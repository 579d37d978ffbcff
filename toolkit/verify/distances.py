"""How far two arrays are apart: in ranges, in dB, and column by column. Pure.

All is computed in float64 and divided by what the reference itself spans, so that outputs of 1e15
and of 1e-14 are judged alike.
"""

import math
from dataclasses import dataclass

import numpy as np

from toolkit.recipe import Array


@dataclass(frozen=True)
class Place:
    """Where two outputs differ most.

    Attributes:
        output: its name.
        index: of the value; the first number counts the samples.
        expected: the reference's value.
        got: the candidate's.
        error: their difference in units of the reference's range.
    """

    output: str
    index: tuple[int, ...]
    expected: float
    got: float
    error: float

    def __str__(self) -> str:
        where = ", ".join(map(str, self.index))
        return f"output {self.output!r} at [{where}] is {self.got:g} instead of {self.expected:g}"


@dataclass(frozen=True)
class Column:
    """The column that is furthest off for what it says itself.

    Attributes:
        output: its name.
        axis: of the output, along which columns are counted.
        number: of the column.
        error: RMS error beyond rounding, in standard deviations of the column.
    """

    output: str
    axis: int
    number: int
    error: float


def scaled_error(expected: Array, got: Array) -> float:
    """Greatest absolute difference divided by the reference's range; infinite for no number."""
    return worst("", expected, got).error


def worst(name: str, expected: Array, got: Array) -> Place:
    """Where the greatest difference is; what is no number is infinitely far."""
    wide, other = expected.astype(np.float64), got.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        distance = np.abs(other - wide)
    flat = int(np.where(np.isnan(distance), np.inf, distance).argmax())
    greatest, spread = float(distance.flat[flat]), span(wide)
    error = greatest / spread if spread else (math.inf if greatest else 0.0)
    index = tuple(int(i) for i in np.unravel_index(flat, distance.shape))
    error = error if math.isfinite(error) else math.inf
    return Place(name, index, float(wide.flat[flat]), float(other.flat[flat]), error)


def span(wide: Array) -> float:
    """From the least to the greatest float64; the size where all are alike."""
    with np.errstate(invalid="ignore"):
        return float(wide.max() - wide.min()) or float(np.abs(wide).max())


def snr(expected: Array, got: Array) -> float:
    """In dB; computed in units of the greatest value, whose square may be no float64."""
    wide = expected.astype(np.float64)
    unit = float(np.abs(wide).max()) or 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        noise = float((((got.astype(np.float64) - wide) / unit) ** 2).sum())
        signal = float(((wide / unit) ** 2).sum())
    if not math.isfinite(noise) or not math.isfinite(signal) or not signal:
        return -math.inf if noise else math.inf
    return 10 * math.log10(signal / noise) if noise else math.inf


def relative(expected: Array, got: Array) -> float:
    """RMS error in standard deviations; of its size where the reference does not vary."""
    wide = expected.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        spread = float(wide.std()) or float(np.abs(wide).max())
        rms = float(np.sqrt(np.mean((got.astype(np.float64) - wide) ** 2)))
    ratio = rms / spread if spread else (math.inf if rms else 0.0)
    return ratio if math.isfinite(ratio) else math.inf


def worst_columns(name: str, expected: Array, got: Array, rounding: float) -> list[Column]:
    """The worst column along the last axis, and along the second one where there are more.

    Detectors answer [n, boxes, fields] as well as [n, fields, boxes].
    """
    if expected.ndim < 2:
        expected, got = expected.reshape(-1, 1), got.reshape(-1, 1)
    found = []
    for axis in sorted({1, expected.ndim - 1}):
        wide = np.moveaxis(expected, axis, -1).reshape(-1, expected.shape[axis]).astype(np.float64)
        other = np.moveaxis(got, axis, -1).reshape(wide.shape).astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            spread, size = wide.std(axis=0), np.abs(wide).max(axis=0)
            rms = np.sqrt(np.mean((other - wide) ** 2, axis=0))
        judged = spread > rounding * size  # the others are constant up to rounding
        if not judged.any():
            continue
        excess = np.maximum(rms - rounding * size, 0)[judged] / spread[judged]
        excess = np.where(np.isfinite(excess), excess, np.inf)
        number = int(np.flatnonzero(judged)[excess.argmax()])
        found.append(Column(name, axis, number, float(excess.max())))
    return found
