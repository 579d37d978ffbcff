"""Sizes, times, shares and counts as people read them."""

from toolkit.report.plot import number

_SPACE = "\N{NO-BREAK SPACE}"


def size(length: float | None) -> str:
    """Such as '932 B', '12.3 kB', '4.0 MB'."""
    if length is None:
        return "-"
    if length < 1000:
        return f"{length:.0f}{_SPACE}B"
    for unit in ("kB", "MB"):
        length /= 1000
        if length < 1000:
            return f"{length:.1f}{_SPACE}{unit}"
    return f"{length / 1000:.1f}{_SPACE}GB"


def duration(seconds: float | None) -> str:
    """Such as '0.8 s', '75 s', '12 min', '3.4 h'."""
    if seconds is None:
        return "-"
    if seconds < 100:
        return f"{seconds:.1f}{_SPACE}s"
    return f"{seconds / 60:.0f}{_SPACE}min" if seconds < 6000 else f"{seconds / 3600:.1f}{_SPACE}h"


def latency(microseconds: float | None) -> str:
    """Such as '9.1 µs', '1.2 ms'."""
    if microseconds is None:
        return "-"
    if microseconds < 1000:
        return f"{number(microseconds, 3)}{_SPACE}µs"
    return f"{number(microseconds / 1000, 3)}{_SPACE}ms"


def percent(share: float | None) -> str:
    """Such as '99.4 %'; 100 % means all."""
    if share is None:
        return "-"
    told = f"{share * 100:.1f}"
    told = "99.9" if told == "100.0" and share < 1 else told.removesuffix(".0")
    return f"{told}{_SPACE}%"


def count(amount: int, noun: str) -> str:
    """Such as '1,437 samples', '1 file'."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def metric(name: str, value: float | None) -> str:
    """An accuracy as a percentage, any other metric as a number."""
    return percent(value) if name == "accuracy" else number(value)


def listed(names: list[str]) -> str:
    """Such as 'a, b and c'."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def points(name: str, drop: float) -> str:
    """A loss of the metric: of an accuracy in percentage points."""
    if drop <= 0:
        return "none"
    return f"{drop * 100:.2f}{_SPACE}points" if name == "accuracy" else number(drop, 3)
