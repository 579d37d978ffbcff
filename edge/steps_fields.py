"""Checks of the fields of steps, and the limits that keep a manifest from elsewhere harmless.

Every check returns what is wrong in words, or an empty text. What a step does is elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable

import numpy as np

Step = Mapping[str, Any]
Run = Callable[[np.ndarray], np.ndarray]
"""From a batch [n, ...] to a batch; raises ValueError if the batch does not fit."""

Family = tuple[Mapping[str, Callable[[Step], str]], Mapping[str, Callable[[Step], Run]]]
"""Of steps that belong together, by name: what checks the fields, and what makes the step."""

MAX_STEPS = 64
MAX_VALUES = 1 << 24
"""Most values that a step may make of one sample: 64 MB as float32."""

MAX_SIZE = 1 << 24
MAX_SIDE = 1 << 14
"""Longest side of an image that resize makes, in pixels."""


def first(*problems: str) -> str:
    """The first problem; empty if there is none."""
    return next(filter(None, problems), "")


def is_number(value: object) -> bool:
    """Whether it is a finite number that float32 can hold."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= float(np.finfo(np.float32).max)  # false for NaN, too


def number(step: Step, field: str, least: float | None = None) -> str:
    """A number that float32 can hold, above `least` there; may be left out."""
    value = step.get(field, 1.0)
    if not is_number(value):
        return f"{field} is {shown(value)}, not a finite number that float32 can hold"
    if least is not None and not np.float32(value) > least:
        return f"{field} is {shown(value)}; it must be above {least:g}"
    return ""


def whole(step: Step, field: str, low: int, high: int) -> str:
    """A whole number from `low` to `high`; may be left out."""
    value = step.get(field, low)
    good = type(value) is int and low <= value <= high
    return "" if good else f"{field} is {shown(value)}, not a whole number from {low} to {high}"


def choice(step: Step, field: str, known: Sequence[str]) -> str:
    """One of the known texts; may be left out."""
    value = step.get(field, known[0])
    good = isinstance(value, str) and value in known
    return "" if good else f"{field} {shown(value)} is not one of {', '.join(known)}"


def flag(step: Step, field: str) -> str:
    """True or false; may be left out."""
    value = step.get(field, False)
    return "" if isinstance(value, bool) else f"{field} is {shown(value)}, not true or false"


def wholes(step: Step, field: str, counts: Iterable[int], low: int, high: int = MAX_SIZE) -> str:
    """A list of whole numbers from `low` to `high`, with one of these lengths."""
    value, counts = step[field], list(counts)
    good = isinstance(value, (list, tuple)) and len(value) in counts
    if good and all(type(size) is int and low <= size <= high for size in value):
        return ""
    length = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{field} is {shown(value)}, not a list of {length} whole numbers from {low} to {high}"


def product(step: Step, field: str) -> str:
    """Sizes whose product a sample may have."""
    count = math.prod(step[field])
    return "" if count <= MAX_VALUES else f"{field} makes {count} values, over {MAX_VALUES}"


def bounded(sizes: Iterable[int], limit: int = MAX_VALUES) -> None:
    """Raise ValueError if something of these sizes would hold more values than allowed."""
    count = math.prod(sizes)
    if count > limit:
        raise ValueError(f"it would become {count} values, over the limit of {limit}")


def shown(value: object) -> str:
    """The value as text, cut off where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
