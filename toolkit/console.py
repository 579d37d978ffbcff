"""What a person sees: progress while training, tables afterwards. Messages go to stderr."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from toolkit.artifacts import Check, Export
from toolkit.bench.measure import BenchRow
from toolkit.errors import ToolkitError
from toolkit.files import finite
from toolkit.ladder import Rung
from toolkit.progress import Display, Report, display
from toolkit.recipe import TITLES
from toolkit.runs import Run
from toolkit.train.prove import Proof

if TYPE_CHECKING:  # rich's parts are imported where they are used: --help needs none
    from rich.table import Table

_SHOWN = ("val_", "play_")  # figures that a model is judged by
_NUMERIC = frozenset(
    (
        "batch",
        "size",
        "seconds",
        "probe",
        "error",
        "kept",
        "exports",
        "steps",
        "difference",
        "drop",
        "load",
        "p50",
        "p90",
        "p99",
        "samples/s",
        "memory",
    )
)


class Screen:
    """One command's output.

    Args:
        quiet: print nothing but errors, as for --json.
        terse: print nothing but results and errors, as for --quiet.
    """

    def __init__(self, *, quiet: bool = False, terse: bool = False) -> None:
        silent = quiet or terse
        self._messages = Console(stderr=True, quiet=silent, highlight=False, soft_wrap=True)
        self._results = Console(quiet=quiet, highlight=False, width=_width())
        self._display = Display()

    def say(self, message: str) -> None:
        """Print a line about what happens."""
        self._messages.print(message, markup=False)

    @contextlib.contextmanager
    def training(self, frameworks: Sequence[str]) -> Iterator[None]:
        """Show how training goes while the block runs: bars on a terminal, lines in a log."""
        with display(self._messages, frameworks) as self._display:
            try:
                yield
            finally:
                self._display = Display()

    def watch(self, framework: str, report: Report) -> None:
        """Show a framework's progress."""
        self._display.watch(framework, report)

    def event(self, framework: str, message: str, state: str | None = None) -> None:
        """Print a line about a framework, above the bars.

        Args:
            framework: out of 'tf' and 'torch'.
            message: what happened and what comes next.
            state: a few words for the framework's bar until its next report, or None.
        """
        self.say(f"{TITLES[framework]}: {message}")
        if state is not None:
            self._display.state(framework, state)

    def trained(self, run: Run) -> None:
        """Say how training went, a line a framework."""
        for framework, facts in run.facts["frameworks"].items():
            metrics = ", ".join(
                f"{name} {facts[name]:.4g}" for name in facts if name.startswith(_SHOWN)
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
            name, title = Path(export.file).name, TITLES.get(export.framework, export.framework)
            table.add_row(name, title, batch, size, f"{export.seconds:.1f}")
        self._results.print(table)
        for note in dict.fromkeys(
            f"{TITLES.get(e.framework, e.framework)} to {e.target} {e.note}"
            for e in exports
            if e.note
        ):
            self._results.print(note, style="dim", markup=False)

    def checks(self, checks: Sequence[Check]) -> None:
        """Print the verification table, and below it why files failed and what is to blame."""
        judged = any(check.metric for check in checks)
        columns = ["file", "runtime", "probe", "error", "kept"]
        columns += ["metric", "drop", "95 % interval"] if judged else []
        table = _table(*columns, "result")
        for check in checks:
            cells = [
                Path(check.file).name,
                _without_version(check.runtime),
                _probe(check),
                "-" if check.error is None else f"{check.error:.1e}",
                "-" if check.kept is None else f"{check.kept:.1%}",
            ]
            cells += _judged(check) if judged else []
            table.add_row(*cells, "[green]pass[/]" if check.passed else "[red]FAIL[/]")
        self._results.print(table)
        for check in checks:
            if not check.passed:
                told = f"{Path(check.file).name}, {check.runtime}: {check.reason}"
                blamed = f"\n  to blame: {check.blame}" if check.blame else ""
                self._results.print(told + blamed, style="red", markup=False)

    def rungs(self, rungs: Sequence[Rung]) -> None:
        """Print the precision ladder: what was tried, and why it was not good enough."""
        table = _table("from", "target", "precision", "size", "kept", "result")
        for rung in rungs:
            kept = min((c.kept for c in rung.checks if c.kept is not None), default=None)
            table.add_row(
                TITLES.get(rung.framework, rung.framework),
                rung.target,
                rung.precision,
                f"{rung.export.bytes / 1000:,.1f} kB" if rung.export else "-",
                "-" if kept is None else f"{kept:.1%}",
                f"[yellow]{_escape(rung.reason)}[/]" if rung.reason else "[green]chosen[/]",
            )
        self._results.print(table)

    def text(self, lines: Sequence[str]) -> None:
        """Print lines of a result as they are."""
        for line in lines:
            self._results.print(line, markup=False, soft_wrap=True)

    def bench(self, rows: Sequence[BenchRow]) -> None:
        """Print what each file costs, and how good it is."""
        table = _table("file", "size", "load", "p50", "p90", "p99", "samples/s", "memory", "kept")
        for row in rows:
            if row.reason:
                table.add_row(row.file, *["-"] * 7, f"[red]{_escape(row.reason)}[/]")
                continue
            table.add_row(
                row.file,
                f"{row.bytes / 1000:,.1f} kB",
                f"{row.load_ms:.1f} ms",
                *(f"{value:,.0f} us" for value in (row.p50_us, row.p90_us, row.p99_us)),
                f"{row.samples_per_s:,.0f}",
                "-" if row.memory_bytes is None else f"{row.memory_bytes / 1e6:,.1f} MB",
                "-" if row.agreement is None else f"{row.agreement:.1%}",
            )
        self._results.print(table)
        if any(not row.stable and not row.reason for row in rows):
            self._results.print(
                "latencies had not settled in the given time: use --seconds", style="dim"
            )

    def proofs(self, proofs: Sequence[Proof]) -> None:
        """Print how far one and several workers differ, and known causes."""
        table = _table("framework", "workers", "steps", "difference", "at", "result")
        for proof in proofs:
            table.add_row(
                TITLES[proof.framework],
                f"1 and {proof.workers}",
                str(proof.steps),
                f"{proof.difference:.1e}",
                proof.where or "-",
                "[green]equal[/]" if proof.passed else "[red]DIFFERENT[/]",
            )
        self._results.print(table)
        for proof in proofs:
            for cause in proof.causes:
                told = f"{TITLES[proof.framework]}, a known cause: {cause}"
                self._results.print(told, style="dim" if proof.passed else "red", markup=False)

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
                ", ".join(TITLES.get(name, name) for name in run.frameworks) or "-",
                str(len(facts["exports"])),
                verified,
            )
        self._results.print(table)

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        styles: Mapping[str, str] | None = None,
    ) -> None:
        """Print rows of texts; a cell that is a key of `styles` is shown in that style."""
        table, known = _table(*columns), styles or {}
        for row in rows:
            cells = [(known.get(cell), _escape(cell)) for cell in row]
            table.add_row(*(f"[{style}]{cell}[/]" if style else cell for style, cell in cells))
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
    """Print one JSON object on stdout; NaN and infinity become null."""
    import json

    sys.stdout.write(json.dumps(finite(value), allow_nan=False) + "\n")
    sys.stdout.flush()


def _without_version(runtime: str) -> str:
    return " ".join(word for word in runtime.split() if not word[0].isdigit())


def _probe(check: Check) -> str:
    """Class numbers as they are, values with as many digits as the probe's tolerance needs."""
    if check.probe is None:
        return "-"
    return str(check.probe) if isinstance(check.probe, int) else f"{check.probe:.4f}"


def _judged(check: Check) -> list[str]:
    """The task's metric before and after, its drop, and how sure that is."""
    if check.drop is None or check.before is None or check.after is None:
        return ["-", "-", "-"]
    interval = "-" if check.low is None else f"{check.low:+.4f} to {check.high:+.4f}"
    return [
        f"{check.metric} {check.before:.4f} -> {check.after:.4f}",
        f"{check.drop:+.4f}",
        interval,
    ]


def _table(*columns: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = column in _NUMERIC
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    return table


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
