"""Rows of a benchmark as CSV, as JSON, and as a plot."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from toolkit.bench.measure import BenchRow
from toolkit.errors import UsageError
from toolkit.files import write_bytes

FORMATS = ("svg", "png")


def to_json(rows: Sequence[BenchRow]) -> list[dict[str, Any]]:
    """As plain data, None where nothing was measured."""
    return [asdict(row) for row in rows]


def to_csv(rows: Sequence[BenchRow]) -> str:
    """As CSV with a header, an empty cell where nothing was measured."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [field.name for field in fields(BenchRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(to_json(rows))
    return buffer.getvalue()


def plot(rows: Sequence[BenchRow], path: Path) -> None:
    """Write a scatter plot of the metric against latency and against size, .svg or .png.

    Where no row has a metric, agreement takes its place.

    Raises:
        UsageError: the suffix is another one, no row was judged, or matplotlib is missing.
        StorageError: the file cannot be written.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise UsageError(f"{path}: a plot is written as .{' or .'.join(FORMATS)}; name it so")
    title, points = _points(rows)
    write_bytes(path, _draw(title, points, kind))


_Point = tuple[BenchRow, float, float]


def _points(rows: Sequence[BenchRow]) -> tuple[str, list[_Point]]:
    """What the vertical axis shows; and each row with its latency in ms and its height."""
    scored = [row for row in rows if row.score is not None]
    title = scored[0].metric if scored else "agreement"
    points = []
    for row in rows:
        height = row.score if scored else row.agreement
        if height is not None and row.p50_us is not None:
            points.append((row, row.p50_us / 1e3, height))
    if not points:
        raise UsageError("no file was judged, so nothing can be plotted; give samples to judge by")
    return title, points


def _draw(title: str, points: Sequence[_Point], kind: str) -> bytes:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            f"a plot needs {error.name}; install it: pip install 'edge-deployment-toolkit[plot]'"
        ) from error
    buffer = io.BytesIO()
    # The same rows give the same file: no random ids, no date.
    with matplotlib.rc_context({"svg.hashsalt": "toolkit", "svg.fonttype": "none"}):
        figure = Figure(figsize=(11, 4.5), layout="constrained")
        latency, size = figure.subplots(1, 2, sharey=True)
        for number, (row, milliseconds, height) in enumerate(points):
            for axes, place in ((latency, milliseconds), (size, row.bytes / 1e3)):
                axes.plot(place, height, "o", color=f"C{number % 10}", alpha=0.7, label=row.file)
        for axes, label in ((latency, "p50 latency, ms"), (size, "size of the file, kB")):
            left, right = axes.dataLim.intervalx
            # One large file would press the others together; a short logarithm has odd ticks.
            axes.set(xlabel=label, xscale="log" if right > 10 * left else "linear")
            axes.grid(visible=True, alpha=0.3)
        latency.set_ylabel(title)
        size.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()
