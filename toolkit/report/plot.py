"""What every drawing has: scales, ticks, a frame with axes, colours. Pure numbers and markup."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.recipe import FRAMEWORKS
from toolkit.report.markup import Child, Markup, tag

TINY, HUGE = 1e-30, 1e30  # what is beyond is drawn as zero, or not at all
LETTER = 6.4  # width of a letter, about
_LOGARITHMIC = 30.0  # from this ratio on, what is near zero would be flat


@dataclass(frozen=True)
class Box:
    """Where the axes are, in the drawing's units.

    Attributes:
        width: of the whole drawing.
        height: likewise.
        left: of the axes' left end.
        right: of their right end.
        top: of their upper end.
        bottom: of their lower end.
    """

    width: float = 380
    height: float = 244
    left: float = 46
    right: float = 292
    top: float = 12
    bottom: float = 202


@dataclass(frozen=True)
class Scale:
    """From values to places.

    Attributes:
        low: the least value.
        high: the greatest.
        start: place of the least.
        end: place of the greatest.
        logarithmic: whether equal ratios are equally long.
        ticks: values that are marked.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool
    ticks: tuple[float, ...]

    def __call__(self, value: float) -> float:
        """The place of a value."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        share = 0.5 if high == low else (value - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 2)


def scale(
    values: Sequence[float],
    start: float,
    end: float,
    *,
    whole: bool = False,
    most: float | None = None,
) -> Scale:
    """A scale that shows all of some finite values; logarithmic where their ratio is great.

    Args:
        values: at least one.
        start: place of the least.
        end: place of the greatest.
        whole: the values are whole numbers, and nothing is beside them.
        most: the values cannot be greater.
    """
    low, high = min(values), max(values)
    if not whole and low > TINY and high / low > _LOGARITHMIC:
        bottom, top = math.floor(math.log10(low)), math.ceil(math.log10(high))
        powers = range(bottom, top + 1, max(1, math.ceil((top - bottom) / 5)))
        ticks = tuple(10.0**power for power in powers)
        return Scale(10.0**bottom, 10.0**top, start, end, True, ticks)
    if whole:
        step = max(1.0, _step((high - low) / 6))
        first = math.ceil(low / step) * step
        ticks = tuple(first + step * n for n in range(int((high - first) / step + 1e-9) + 1))
        return Scale(low, high, start, end, False, ticks)
    if high - low <= max(TINY, 1e-9 * max(abs(low), abs(high))):
        around = 0.1 * max(abs(low), abs(high)) if max(abs(low), abs(high)) > TINY else 1.0
        low, high = low - around, high + around
    step = _step((high - low) / 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if most is not None and last * step > most >= max(values):
        last = math.floor(most / step + 1e-9)
    ticks = tuple(round(n * step, 12) for n in range(first, last + 1))
    return Scale(
        min(ticks[0], low), max(ticks[-1], min(high, most or high)), start, end, False, ticks
    )


def _step(least: float) -> float:
    """The next greater of 1, 2 and 5 times a power of ten."""
    if least <= 0 or not math.isfinite(least):
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= least * (1 - 1e-9))


def number(value: float | None, digits: int = 4) -> str:
    """A number for people: '0.0123', '1,437', '3.5e-11', '-' for none."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 10**digits:
        told = f"{value:.{digits}g}"
        return f"{value:.0f}" if "e" in told else told
    if abs(value) >= 10**digits and abs(value) < 1e9:
        return f"{value:,.0f}"
    mantissa, _, exponent = f"{value:.{max(digits - 3, 0)}e}".partition("e")
    trimmed = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{trimmed}e{int(exponent)}"


def frame(box: Box, x: Scale, y: Scale, x_label: str) -> Markup:
    """Axes, grid, ticks and what the lower axis means; the caption tells what the other does."""
    parts: list[Child] = []
    for value in y.ticks:
        place = y(value)
        parts += [
            tag("line", x1=box.left, x2=box.right, y1=place, y2=place, class_="grid"),
            tag("text", number(value), x=box.left - 6, y=place + 4, text_anchor="end"),
        ]
    for value in x.ticks:
        place = x(value)
        parts += [
            tag("line", x1=place, x2=place, y1=box.bottom, y2=box.bottom + 4, class_="axis"),
            tag("text", number(value), x=place, y=box.bottom + 17, text_anchor="middle"),
        ]
    parts += [
        tag("line", x1=box.left, x2=box.right, y1=box.bottom, y2=box.bottom, class_="axis"),
        tag(
            "text",
            x_label,
            x=(box.left + box.right) / 2,
            y=box.bottom + 35,
            text_anchor="middle",
            class_="label",
        ),
    ]
    return tag("g", parts)


def drawing(name: str, title: str, description: str, box: Box, *children: Child) -> Markup:
    """A drawing that says what it shows to those who do not see it.

    Args:
        name: an id that the page has once.
        title: what it shows.
        description: what can be read from it.
        box: its size.
        children: what is drawn.
    """
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        children,
        viewBox=f"0 0 {box.width:g} {box.height:g}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        class_="plot",
    )


def colour_of(framework: str) -> str:
    """The class that gives a framework its colour."""
    return framework if framework in FRAMEWORKS else "other"


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels that do not overlap: near the wanted ones, in the same order."""
    order = sorted(range(len(places)), key=lambda index: (places[index], index))
    found = list(places)
    last = low - gap
    for index in order:
        last = found[index] = max(places[index], last + gap)
    limit = high
    for index in reversed(order):
        limit = found[index] = min(found[index], limit)
        limit -= gap
    return found
