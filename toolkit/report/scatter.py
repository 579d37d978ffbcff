"""How good each file is against what it costs: numbered points, the numbers are in the table."""

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.artifacts import title_of
from toolkit.report.facts import Measured
from toolkit.report.markup import Child, Markup, tag
from toolkit.report.plot import LETTER, Box, colour_of, drawing, frame, number, scale

_BOX = Box(right=370)
_RADIUS = 4.5
_ROUND = ((9, 4), (0, -8), (-9, 4), (0, 16), (9, -6), (-9, -6), (9, 14), (-9, 14))
_RINGS = (1.0, 1.7, 2.5, 3.4)


@dataclass(frozen=True)
class Point:
    """A file: its number in the table, its cost, how good it is."""

    number: int
    row: Measured
    x: float
    y: float


def points_of(rows: Sequence[Measured], cost: str) -> tuple[str, list[Point]]:
    """What is good, and the files with both: 'latency' in microseconds, or 'size' in kB."""
    scored = any(row.score is not None for row in rows)
    title = next((row.metric for row in rows if row.metric), "metric") if scored else "kept"
    points = []
    for index, row in enumerate(rows, 1):
        good = row.score if scored else row.agreement
        costs = row.p50_us if cost == "latency" else row.bytes / 1000
        if good is not None and costs is not None:
            points.append(Point(index, row, costs, good))
    return title, points


def scatter(rows: Sequence[Measured], cost: str) -> Markup | None:
    """A drawing, or None where no file was both measured and judged."""
    title, points = points_of(rows, cost)
    if not points:
        return None
    x = scale([point.x for point in points], _BOX.left, _BOX.right)
    most = 1.0 if title in ("accuracy", "kept") else None
    y = scale([point.y for point in points], _BOX.bottom, _BOX.top, most=most)
    places = [(x(point.x), y(point.y)) for point in points]
    labels = _labels([str(point.number) for point in points], places)
    parts: list[Child] = []
    for point, place, label in zip(points, places, labels, strict=True):
        parts.append(_mark(point, place, label, title))
    unit = "latency (p50), µs" if cost == "latency" else "size, kB"
    name = f"scatter-{cost}"
    told = "; ".join(f"{p.row.file}: {number(p.x)}, {number(p.y)}" for p in points)
    logarithmic = " (log scale)" if x.logarithmic else ""
    return tag(
        "figure",
        tag("figcaption", tag("strong", f"{title} against {cost}"), _legend(points)),
        drawing(
            name,
            f"{title} against {cost}",
            told,
            _BOX,
            frame(_BOX, x, y, unit + logarithmic),
            parts,
        ),
        class_="chart",
    )


def _mark(
    point: Point, place: tuple[float, float], label: tuple[float, float], title: str
) -> Markup:
    left, top = place
    framework = point.row.framework
    about = tag("title", f"{point.row.file}: {title} {number(point.y)}, {number(point.x)}")
    far = abs(label[0] - left) + abs(label[1] - 4 - top) > 20
    return tag(
        "g",
        about,
        tag("line", x1=left, y1=top, x2=label[0], y2=label[1] - 4, class_="leader")
        if far
        else None,
        _shape(point.row.target, left, top),
        tag("text", str(point.number), x=label[0], y=label[1], text_anchor="middle"),
        class_=f"{colour_of(framework)} point",
    )


def _shape(target: str, x: float, y: float) -> Markup:
    """A circle for TFLite, a square for ONNX: colours alone tell too little."""
    if target == "tflite":
        return tag("circle", cx=x, cy=y, r=_RADIUS)
    side = 2 * _RADIUS - 1
    return tag("rect", x=x - side / 2, y=y - side / 2, width=side, height=side)


def _legend(points: Sequence[Point]) -> Markup:
    found = dict.fromkeys((p.row.framework, p.row.target) for p in points)
    keys = [
        tag(
            "span",
            tag(
                "svg",
                _shape(target, 6, 6),
                viewBox="0 0 12 12",
                class_=f"key dot point {colour_of(framework)}",
                aria_hidden="true",
            ),
            f"{title_of(framework)} {target}",
        )
        for framework, target in found
    ]
    return tag("span", keys, class_="legend")


def _labels(
    texts: Sequence[str], places: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Where each number stands: as near its point as the others allow."""
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    found = []
    for text, (x, y) in zip(texts, places, strict=True):
        half = LETTER * len(text) / 2
        candidates = [
            (x + dx * ring + (half - 3) * (dx > 0) - (half - 3) * (dx < 0), y + 4 + (dy - 4) * ring)
            for ring in _RINGS
            for dx, dy in _ROUND
        ]
        chosen = min(candidates, key=lambda at: (_cost(at, half, taken), candidates.index(at)))
        taken.append(_area(chosen, half))
        found.append((round(chosen[0], 1), round(chosen[1], 1)))
    return found


def _area(at: tuple[float, float], half: float) -> tuple[float, float, float, float]:
    return at[0] - half, at[1] - 9, at[0] + half, at[1] + 1


def _cost(
    at: tuple[float, float], half: float, taken: Sequence[tuple[float, float, float, float]]
) -> float:
    """By how much a label would cover others, or leave the drawing."""
    left, top, right, bottom = _area(at, half)
    covered = sum(
        max(0.0, min(right, b[2]) - max(left, b[0])) * max(0.0, min(bottom, b[3]) - max(top, b[1]))
        for b in taken
    )
    outside = max(0.0, _BOX.left - left) + max(0.0, right - _BOX.width) + max(0.0, -top)
    return covered + 50 * (outside + max(0.0, bottom - _BOX.bottom))
