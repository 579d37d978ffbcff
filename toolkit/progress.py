"""Training while it runs: a live bar a framework on a terminal, a line now and then in a log.

What is told about, and when, is decided by the training; this only shows it.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, Self

from toolkit.recipe import TITLES

if TYPE_CHECKING:  # rich's parts are imported where they are used: --help needs none
    from rich.console import Console

_WINDOW = 60.0  # seconds over which the speed is averaged
_LOG_SECONDS = 10.0
_STATUS_WIDTH = 62  # of the longest usual status; the bar gets the rest


class Report(Protocol):
    """What the training loop tells while it runs."""

    @property
    def step(self) -> int:
        """Optimizer steps done; fewer than before after a restart."""

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""

    @property
    def epochs(self) -> int:
        """Epochs in all."""

    @property
    def loss(self) -> float:
        """The latest loss."""

    @property
    def samples_per_second(self) -> float:
        """Over all workers."""

    @property
    def scores(self) -> Mapping[str, float]:
        """Of players that bring the samples, by name; empty where there are none."""


class Display:
    """Shows nothing, as for --json; the base of those that show something."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End the display."""

    def watch(self, framework: str, report: Report) -> None:
        """Show how far a framework is."""

    def state(self, framework: str, state: str) -> None:
        """Show what keeps a framework from training, until the next report."""


class Lines(Display):
    """For a log: at most one line a framework in `every` seconds.

    Args:
        console: to print to.
        frameworks: out of 'tf' and 'torch'.
        every: seconds between two lines, and before the first.
        now: a clock in seconds.
    """

    def __init__(
        self,
        console: "Console",
        frameworks: Sequence[str],
        every: float = _LOG_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._every, self._now = console, every, now
        self._paces = {name: Pace(now) for name in frameworks}
        self._due = dict.fromkeys(frameworks, now() + every)

    def watch(self, framework: str, report: Report) -> None:
        """Print a line where one is due."""
        left = self._paces[framework].left(report)
        if self._now() >= self._due[framework]:
            self._due[framework] = self._now() + self._every
            step = f"step {report.step}/{report.steps}"
            words = [TITLES[framework], _epoch(report), step, *_figures(report, left)]
            self._console.print("  ".join(words), markup=False)

    def state(self, framework: str, state: str) -> None:
        """Only the pace is affected: a log has the event's own line."""
        self._paces[framework].forget()


class Bars(Display):
    """For a terminal: a bar a framework, below all that is printed meanwhile.

    Args:
        console: of a terminal.
        frameworks: out of 'tf' and 'torch'.
        now: a clock in seconds.
    """

    def __init__(
        self,
        console: "Console",
        frameworks: Sequence[str],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
        from rich.table import Column

        title = max(len(TITLES[name]) for name in frameworks)
        bar = min(40, max(8, console.width - _STATUS_WIDTH - title))
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar),
            TextColumn("{task.fields[status]}", markup=False, table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
        )
        self._paces = {name: Pace(now) for name in frameworks}
        self._done: dict[str, tuple[int, int]] = {}
        self._tasks = {
            name: self._bars.add_task(TITLES[name], total=None, status="starting")
            for name in frameworks
        }

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def watch(self, framework: str, report: Report) -> None:
        """Move the bar, back too."""
        left = self._paces[framework].left(report)
        self._done[framework] = report.step, report.steps
        self._show(framework, "  ".join([_epoch(report), *_figures(report, left)]))

    def state(self, framework: str, state: str) -> None:
        """Show `state` instead of figures; the bar stays where it is."""
        self._paces[framework].forget()
        self._show(framework, state)

    def _show(self, framework: str, status: str) -> None:
        done, total = self._done.get(framework, (0, None))
        # Not `update`: a task that was once complete would stay so, after a restart as well.
        self._bars.reset(self._tasks[framework], total=total, completed=done, status=status)


class Pace:
    """How fast steps were done lately, whatever else took time among them.

    Args:
        now: a clock in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._seen: deque[tuple[float, int]] = deque()

    def left(self, report: Report) -> float | None:
        """Seconds to the last step, or None while the speed is unknown."""
        now = self._now()
        if self._seen and report.step < self._seen[-1][1]:
            self.forget()
        self._seen.append((now, report.step))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _WINDOW:
            self._seen.popleft()
        then, first = self._seen[0]
        if report.step == first:
            return None
        return (report.steps - report.step) * (now - then) / (report.step - first)

    def forget(self) -> None:
        """Start anew, as after a restart."""
        self._seen.clear()


def display(console: "Console", frameworks: Sequence[str]) -> Display:
    """The display that fits the console."""
    if console.quiet:
        return Display()
    # Colours may be forced upon a log, and a dumb terminal cannot move its cursor.
    live = console.is_interactive and console.file.isatty()
    return Bars(console, frameworks) if live else Lines(console, frameworks)


def duration(seconds: float) -> str:
    """Seconds as a person says them, in one or two units: '40 s', '2 min 10 s', '1 h 5 min'."""
    count = round(seconds)
    for size, unit, smaller, small_unit in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if count >= size:
            rest = count % size // smaller
            return f"{count // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{count} s"


def _epoch(report: Report) -> str:
    """The epoch that the latest step belongs to, counted from 1."""
    epoch = -(-report.step * report.epochs // report.steps)
    return f"epoch {epoch}/{report.epochs}"


def _figures(report: Report, left: float | None) -> list[str]:
    figures = [f"loss {report.loss:.4g}"]
    figures += [f"{name} {value:.4g}" for name, value in report.scores.items()]
    figures.append(f"{_short(report.samples_per_second)} samples/s")
    if left:
        figures.append(f"{duration(left)} left")
    return figures


def _short(number: float) -> str:
    """A number that changes all the time: '8.5', '12,300', '123k', '1.2M'."""
    if number >= 1e6:
        return f"{number / 1e6:,.1f}M"
    if number >= 1e5:
        return f"{number / 1e3:.0f}k"
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"
