"""Sections of the page about what was proven: verification, blame, precision ladder, costs."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from toolkit.artifacts import Check, title_of
from toolkit.report.facts import Facts, Measured, Rung
from toolkit.report.markup import Child, Markup, Row, file_name, table, tag
from toolkit.report.plot import number
from toolkit.report.scatter import scatter
from toolkit.report.words import latency, metric, percent, size

_LAYER = re.compile(
    r"first bad layer is (?P<layer>.+?): its values are off by (?P<after>[\d.e+-]+?) of their "
    r"spread, what goes in by (?P<before>[\d.e+-]+?)\.(\s|$)"
)
_WIDTH, _HEIGHT = 130, 16  # of the drawing of an interval


def verification(facts: Facts) -> Markup:
    """Every file in every runtime."""
    order = [export.file for export in facts.exports]
    checks = sorted(facts.verified.checks, key=lambda check: order.index(check.file))
    columns = {"file": "", "runtime": "long", "error": "num", "kept": "num"}
    judged = any(check.drop is not None for check in checks)
    if judged:
        columns |= {"metric": "num long", "drop": "num", "95 % interval": "wide"}
    columns["verdict"] = ""
    reach = _reach(checks)
    body = []
    for check in checks:
        cells: list[Child] = [file_name(check.file), check.runtime, number(check.error, 2)]
        cells.append(percent(check.kept))
        cells += _judged(check, reach) if judged else []
        cells.append(_sign(check.passed))
        below = None if check.passed else _why(check)
        body.append(Row(tuple(cells), "" if check.passed else "failed", below))
    notes = [
        tag("li", file_name(file), f" was not asked in {runtime}: {why}.")
        for file, runtime, why in facts.verified.left_out
    ]
    notes += [
        tag("li", file_name(file), " was not verified, or was exported anew since.")
        for file in facts.verified.missing
    ]
    return Markup(
        table(columns, body, "Every file in every runtime")
        + (tag("ul", notes, class_="note") if notes else "")
        + tag(
            "p",
            "error: the greatest difference from the trained model on the golden vectors, in units "
            "of their range. kept: the share of decisions that stayed the same. drop: by how much "
            "the metric got worse over the validation samples; below zero it got better.",
            class_="note",
        )
    )


def _sign(passed: bool) -> Markup:
    return tag(
        "span", "✓ pass" if passed else "✗ FAIL", class_=f"badge {'pass' if passed else 'fail'}"
    )


def _why(check: Check) -> Markup:
    blame = tag("p", tag("strong", "To blame: "), check.blame) if check.blame else None
    return Markup(tag("p", check.reason or "no reason was given") + (blame or ""))


def _judged(check: Check, reach: float) -> list[Child]:
    if check.drop is None:
        return ["-", "-", "-"]
    told = f"{metric(check.metric, check.before)} → {metric(check.metric, check.after)}"
    return [told, f"{check.drop:+.4f}", _interval(check, reach)]


def _reach(checks: Sequence[Check]) -> float:
    """The greatest end of all intervals, so that all are drawn alike."""
    ends = [abs(end) for c in checks for end in (c.low, c.high, c.drop) if end is not None]
    return max(ends, default=0.0) or 1.0


def _interval(check: Check, reach: float) -> Child:
    """The interval as a line about zero: right of it the file is worse."""
    if check.low is None or check.high is None or check.drop is None:
        return "-"

    def place(value: float) -> float:
        return _WIDTH / 2 + value / reach * (_WIDTH / 2 - 6)

    middle = _HEIGHT / 2
    told = f"{check.low:+.4f} to {check.high:+.4f}"
    certain = check.low == check.high == 0
    kind = "worse" if check.low > 0 else "better" if check.high < 0 else "same"
    drawn = tag(
        "svg",
        tag("title", told),
        tag("line", x1=_WIDTH / 2, x2=_WIDTH / 2, y1=0, y2=_HEIGHT, class_="axis"),
        tag(
            "line", x1=place(check.low), x2=place(check.high), y1=middle, y2=middle, class_="range"
        ),
        tag("circle", cx=place(check.drop), cy=middle, r=4),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        class_=f"interval {kind}",
        role="img",
    )
    return [drawn, None if certain else tag("span", told, class_="small")]


def blame(checks: Sequence[Check]) -> Markup:
    """What is at fault where files failed, with the error of the first bad layer drawn."""
    items = []
    for check in checks:
        if not check.blame:
            continue
        found = _LAYER.search(check.blame)
        told = _bars(found) if found else tag("p", check.blame)
        items.append(Markup(tag("h3", file_name(check.file)) + told))
    note = "Errors are shares of the spread of the layer's values; 0.1 is much."
    return Markup("".join(items) + tag("p", note, class_="note"))


def _bars(found: re.Match[str]) -> Markup:
    before, after = float(found["before"]), float(found["after"])
    longest = max(before, after) or 1.0
    rows = [
        (f"into {found['layer']}", before, "before"),
        (f"out of {found['layer']}", after, "after"),
    ]
    return table(
        {"first bad layer": "", "error": "num", "": "wide"},
        [
            Row((name, number(value, 3), bar(value / longest, kind, f"{value:g}")))
            for name, value, kind in rows
        ],
        "Error of the first bad layer",
    )


def bar(share: float, kind: str, told: str) -> Markup:
    """A bar for a share from 0 to 1."""
    return tag(
        "svg",
        tag("title", told),
        tag("rect", x=0, y=2, width=120, height=8, rx=4, class_="track"),
        tag("rect", x=0, y=2, width=max(2.0, 120 * share), height=8, rx=4, class_="fill"),
        viewBox="0 0 120 12",
        class_=f"bar {kind}",
        role="img",
    )


def ladder(rungs: Sequence[Rung]) -> Markup:
    """What `--precision best` tried for each model and target, from the smallest on."""
    largest = max((rung.bytes or 0 for rung in rungs), default=1) or 1
    cells = dict.fromkeys((rung.framework, rung.target) for rung in rungs)
    drawn = []
    for framework, target in cells:
        steps = [rung for rung in rungs if (rung.framework, rung.target) == (framework, target)]
        body = [
            Row(
                (
                    rung.precision,
                    size(rung.bytes),
                    bar((rung.bytes or 0) / largest, "size", size(rung.bytes)),
                    percent(rung.kept),
                    "-" if rung.drop is None else f"{rung.drop:+.4f}",
                    tag("span", "✓ chosen", class_="badge pass")
                    if not rung.reason
                    else tag("span", rung.reason, class_="reason"),
                ),
                "chosen" if not rung.reason else "",
            )
            for rung in steps
        ]
        columns = {
            "precision": "",
            "size": "num",
            "of the largest": "",
            "kept": "num",
            "drop": "num",
        }
        title = f"{title_of(framework)} to {target}"
        drawn.append(tag("h3", title) + table(columns | {"outcome": "long"}, body, title))
    return Markup("".join(drawn))


def costs(rows: Sequence[Measured]) -> Markup:
    """Accuracy against latency and size, and the figures."""
    drawings = [drawn for cost in ("latency", "size") if (drawn := scatter(rows, cost))]
    columns = {"file": "", "size": "num", "p50": "num", "p99": "num"}
    columns |= {"samples/s": "num", "memory": "num", "metric": "num", "kept": "num"}
    body = []
    for index, row in enumerate(rows, 1):
        below: Child = row.reason or None
        if row.old:
            below = "measured before the file was exported anew; run toolkit bench"
        name = PurePosixPath(row.file).name
        cells: tuple[Child, ...] = (
            [tag("b", str(index), class_="no"), file_name(name)],
            size(row.bytes),
            latency(row.p50_us),
            latency(row.p99_us),
            "-" if row.samples_per_s is None else f"{row.samples_per_s:,.0f}",
            size(row.memory_bytes),
            metric(row.metric, row.score),
            percent(row.agreement),
        )
        body.append(Row(cells, "failed" if row.reason else "", below))
    return Markup(
        tag("div", drawings, class_="charts") + table(columns, body, "What each file costs")
    )
