"""Curves over epochs: both frameworks in one drawing, training dashed and validation solid."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.artifacts import title_of
from toolkit.report.markup import Child, Markup, tag
from toolkit.report.plot import HUGE, Box, Scale, colour_of, drawing, frame, number, scale, spread

_BOX = Box()
_MARKED = 40  # epochs, at most, whose points are drawn
_LABEL = 27  # height of a label of two lines


@dataclass(frozen=True)
class Curve:
    """One framework's values of one quantity.

    Attributes:
        framework: 'tf' or 'torch'.
        validation: whether on validation samples; otherwise on training samples.
        points: (epoch, value); the value is None where it was NaN or infinite.
    """

    framework: str
    validation: bool
    points: tuple[tuple[int, float | None], ...]

    @property
    def finite(self) -> list[tuple[int, float]]:
        """The points that can be drawn."""
        return [(x, y) for x, y in self.points if y is not None and abs(y) <= HUGE]

    @property
    def title(self) -> str:
        """Such as 'PyTorch, validation'."""
        what = "validation" if self.validation else "training"
        return f"{title_of(self.framework)}, {what}"


@dataclass(frozen=True)
class Chart:
    """All curves of one quantity, such as 'loss' or 'accuracy'."""

    name: str
    curves: tuple[Curve, ...]


def charts_of(rows: Sequence[dict[str, object]]) -> tuple[Chart, ...]:
    """The charts of metrics.jsonl's rows, the loss first."""
    found: dict[str, dict[tuple[str, bool], list[tuple[int, float | None]]]] = {}
    for row in rows:
        epoch, framework = row.get("epoch"), str(row.get("framework"))
        if not isinstance(epoch, int):
            continue
        for key, value in row.items():
            if key in ("framework", "epoch", "step", "time") or isinstance(value, str):
                continue
            name, of_validation = key.removeprefix("val_"), key.startswith("val_")
            told = float(value) if isinstance(value, int | float) else None
            points = found.setdefault(name, {}).setdefault((framework, of_validation), [])
            points.append((epoch, told if told is not None and math.isfinite(told) else None))
    names = sorted(found, key=lambda name: (name != "loss", list(found).index(name)))
    return tuple(
        Chart(
            name, tuple(Curve(*key, tuple(points)) for key, points in sorted(found[name].items()))
        )
        for name in names
    )


def draw(chart: Chart) -> Markup:
    """A chart as a figure with a legend; a sentence where no value is finite."""
    drawable = [curve for curve in chart.curves if curve.finite]
    lost = sum(len(curve.points) - len(curve.finite) for curve in chart.curves)
    note = f"{lost} values were NaN or infinite, and are not drawn." if lost else ""
    if not drawable:
        content: Child = tag("p", "No value is finite: the training diverged.", class_="bad")
        return tag("figure", _caption(chart.name, ()), content, class_="chart")
    points = [point for curve in drawable for point in curve.finite]
    x = scale([x for x, _ in points], _BOX.left, _BOX.right, whole=True)
    heights = [y for _, y in points]
    most = 1.0 if chart.name == "accuracy" else None
    y = scale(heights, _BOX.bottom, _BOX.top, most=most)
    lines = [_line(curve, chart.name, x, y) for curve in drawable]
    return tag(
        "figure",
        _caption(chart.name + (", log scale" if y.logarithmic else ""), drawable),
        drawing(
            f"chart-{_slug(chart.name)}",
            f"{chart.name} by epoch",
            "; ".join(f"{c.title}: {number(c.finite[-1][1])} at the end" for c in drawable),
            _BOX,
            frame(_BOX, x, y, "epoch"),
            lines,
            _labels(drawable, x, y),
        ),
        tag("p", note, class_="note") if note else None,
        class_="chart",
    )


def _line(curve: Curve, name: str, x: Scale, y: Scale) -> Markup:
    kind = f"{colour_of(curve.framework)} {'validation' if curve.validation else 'training'}"
    parts: list[Child] = []
    piece: list[str] = []
    for epoch, value in (*curve.points, (0, None)):  # a gap where a value is missing
        if value is not None and abs(value) <= HUGE:
            piece.append(f"{x(epoch):g},{y(value):g}")
            continue
        if len(piece) > 1:
            parts.append(tag("polyline", points=" ".join(piece), class_="curve"))
        piece = []
    if len(curve.points) <= _MARKED:
        parts += [
            tag(
                "circle",
                tag("title", f"{curve.title}, epoch {epoch}: {name} {number(value)}"),
                cx=x(epoch),
                cy=y(value),
                r=3,
            )
            for epoch, value in curve.finite
        ]
    return tag("g", parts, class_=kind)


def _labels(curves: Sequence[Curve], x: Scale, y: Scale) -> list[Child]:
    """Names and last values at the right, of validation where there is one."""
    chosen = {curve.framework: curve for curve in sorted(curves, key=lambda c: c.validation)}
    ends = [curve.finite[-1] for curve in chosen.values()]
    places = spread([y(value) for _, value in ends], _LABEL, _BOX.top, _BOX.bottom - 12)
    parts: list[Child] = []
    for curve, (epoch, value), place in zip(chosen.values(), ends, places, strict=True):
        left = _BOX.right + 14
        parts.append(
            tag(
                "g",
                tag(
                    "line",
                    x1=x(epoch) + 4,
                    y1=y(value),
                    x2=left - 3,
                    y2=place,
                    class_="leader",
                ),
                tag("text", title_of(curve.framework), x=left, y=place + 3),
                tag("text", number(value), x=left, y=place + 16, class_="value"),
                class_=f"{colour_of(curve.framework)} end",
            )
        )
    return parts


def _caption(name: str, curves: Sequence[Curve]) -> Markup:
    kinds = dict.fromkeys(curve.validation for curve in curves)
    keys = [
        tag(
            "span",
            tag(
                "svg",
                tag("line", x1=0, x2=24, y1=5, y2=5, class_="curve"),
                viewBox="0 0 24 10",
                class_=f"key {'validation' if kind else 'training'}",
                aria_hidden="true",
            ),
            "validation" if kind else "training",
        )
        for kind in sorted(kinds, reverse=True)
    ]
    return tag("figcaption", tag("strong", name), tag("span", keys, class_="legend"))


def _slug(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
