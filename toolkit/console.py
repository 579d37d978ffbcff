"""What a person sees: progress while training, tables afterwards. Messages go to stderr."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console

from toolkit.artifacts import Check, Export, Run
from toolkit.errors import ToolkitError
from toolkit.recipe import TITLES

if TYPE_CHECKING:  # rich's parts are imported where they are used: --help needs none
    from rich.progress import Progress, TaskID
    from rich.table import Table


class Report(Protocol):
    """What the training loop tells while it runs."""

    @property
    def step(self) -> int:
        """Optimizer steps done."""

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""

    @property
    def epoch(self) -> int:
        """Epochs finished."""

    @property
    def loss(self) -> float:
        """The latest loss."""

    @property
    def samples_per_second(self) -> float:
        """Over all workers."""


class Screen:
    """One command's output.

    Args:
        quiet: print nothing but errors, as for --json.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._messages = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._results = Console(quiet=quiet, highlight=False, width=_width())
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def say(self, message: str) -> None:
        """Print a line about what happens."""
        self._messages.print(message, markup=False)

    @contextlib.contextmanager
    def training(self, frameworks: Sequence[str]) -> Iterator[None]:
        """Show a live bar a framework while the block runs; nothing where stderr is no terminal."""
        from rich.progress import (
            BarColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
        )
        live = self._messages.is_terminal and not self._messages.quiet
        with Progress(*columns, console=self._messages, transient=True, disable=not live) as bars:
            self._progress = bars
            for name in frameworks:
                self._tasks[name] = bars.add_task(TITLES[name], total=None, status="starting")
            yield
        self._progress = None

    def watch(self, framework: str, report: Report) -> None:
        """Advance a framework's bar."""
        if self._progress is None:
            return
        status = f"epoch {report.epoch}  loss {report.loss:.4g}  {report.samples_per_second:,.0f}/s"
        self._progress.update(
            self._tasks[framework], total=report.steps, completed=report.step, status=status
        )

    def trained(self, run: Run) -> None:
        """Say how training went, a line a framework."""
        for framework, facts in run.facts["frameworks"].items():
            metrics = ", ".join(
                f"{name} {facts[name]:.4g}" for name in facts if name.startswith("val_")
            )
            self.say(
                f"{TITLES[framework]:<10} {facts['steps']} steps in "
                f"{facts['seconds']:.1f} s: {metrics}"
            )
            for note in facts["notes"]:
                self.say(f"  {note}")

    def exports(self, exports: Sequence[Export]) -> None:
        """Print the exported files."""
        table = _table("file", "from", "batch", "size", "seconds")
        for export in exports:
            batch = "any" if export.batch is None else str(export.batch)
            size = f"{export.bytes / 1000:,.1f} kB"
            name, title = Path(export.file).name, TITLES[export.framework]
            table.add_row(name, title, batch, size, f"{export.seconds:.1f}")
        self._results.print(table)
        for note in dict.fromkeys(
            f"{TITLES[e.framework]} to {e.target} {e.note}" for e in exports if e.note
        ):
            self._results.print(note, style="dim", markup=False)

    def checks(self, checks: Sequence[Check]) -> None:
        """Print the verification table, and below it why files failed."""
        table = _table("file", "runtime", "probe", "error", "kept", "result")
        for check in checks:
            table.add_row(
                Path(check.file).name,
                _without_version(check.runtime),
                _probe(check),
                "-" if check.error is None else f"{check.error:.1e}",
                "-" if check.kept is None else f"{check.kept:.1%}",
                "[green]pass[/]" if check.passed else "[red]FAIL[/]",
            )
        self._results.print(table)
        for check in checks:
            if not check.passed:
                self._results.print(
                    f"{Path(check.file).name}, {check.runtime}: {check.reason}",
                    style="red",
                    markup=False,
                )

    def runs(self, runs: Sequence[Run]) -> None:
        """Print a row a run, the latest last."""
        table = _table("run", "status", "created", "frameworks", "exports", "verified")
        for run in runs:
            facts = run.facts
            verified = {None: "-", True: "pass", False: "FAIL"}[verified_state(run)]
            table.add_row(
                run.name,
                facts["status"],
                facts["created"].replace("T", " ")[:19],
                ", ".join(TITLES[name] for name in run.frameworks) or "-",
                str(len(facts["exports"])),
                verified,
            )
        self._results.print(table)

    def error(self, error: ToolkitError) -> None:
        """Print an error and, below it, its detail."""
        self._messages.quiet = False
        self._messages.print(f"[bold red]error:[/] {_escape(str(error))}")
        if error.detail:
            self._messages.print(error.detail, style="dim", markup=False)


def _width() -> int | None:
    """A terminal's own width; wide enough not to fold where the output goes elsewhere."""
    return None if sys.stdout.isatty() else 160


def verified_state(run: Run) -> bool | None:
    """Whether the run's verification passed; None where there is none."""
    verification = run.verification
    return None if verification is None else bool(verification["passed"])


def print_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    import json

    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _without_version(runtime: str) -> str:
    return " ".join(word for word in runtime.split() if not word[0].isdigit())


def _probe(check: Check) -> str:
    """Class numbers as they are, values with as many digits as the probe's tolerance needs."""
    if check.probe is None:
        return "-"
    return str(check.probe) if isinstance(check.probe, int) else f"{check.probe:.4f}"


def _table(*columns: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = column in ("batch", "size", "seconds", "probe", "error", "kept", "exports")
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    return table


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
