"""What a person sees: progress while training, tables afterwards. Messages go to stderr.

What the tables hold is in tables.py, how progress is shown in progress.py.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from toolkit import tables
from toolkit.artifacts import Check, Export, title_of
from toolkit.bench.measure import BenchRow
from toolkit.errors import ToolkitError
from toolkit.files import finite
from toolkit.ladder import Rung
from toolkit.progress import Display, Report, display
from toolkit.recipe import TITLES
from toolkit.runs import Run
from toolkit.train.prove import Proof

_SHOWN = ("val_", "play_")  # figures that a model is judged by


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
        """Print the exported files, and what happened to them on the way."""
        self._results.print(tables.exports(exports))
        told = [f"{title_of(e.framework)} to {e.target} {e.note}" for e in exports if e.note]
        for note in dict.fromkeys(told):
            self._results.print(note, style="dim", markup=False)

    def checks(self, checks: Sequence[Check]) -> None:
        """Print the verification table, and below it why files failed and what is to blame."""
        self._results.print(tables.checks(checks))
        for check in checks:
            if not check.passed:
                told = f"{Path(check.file).name}, {check.runtime}: {check.reason}"
                blamed = f"\n  to blame: {check.blame}" if check.blame else ""
                self._results.print(told + blamed, style="red", markup=False)

    def rungs(self, rungs: Sequence[Rung]) -> None:
        """Print the precision ladder."""
        self._results.print(tables.rungs(rungs))

    def text(self, lines: Sequence[str]) -> None:
        """Print lines of a result as they are."""
        for line in lines:
            self._results.print(line, markup=False, soft_wrap=True)

    def bench(self, rows: Sequence[BenchRow]) -> None:
        """Print what each file costs, and how good it is."""
        self._results.print(tables.bench(rows))
        if any(not row.stable and not row.reason for row in rows):
            self._results.print(
                "latencies had not settled in the given time: use --seconds", style="dim"
            )

    def proofs(self, proofs: Sequence[Proof]) -> None:
        """Print how far one and several workers differ, and known causes."""
        self._results.print(tables.proofs(proofs))
        for proof in proofs:
            for cause in proof.causes:
                told = f"{title_of(proof.framework)}, a known cause: {cause}"
                self._results.print(told, style="dim" if proof.passed else "red", markup=False)

    def runs(self, runs: Sequence[Run]) -> None:
        """Print a row a run, the latest last."""
        self._results.print(tables.runs(runs))

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        styles: Mapping[str, str] | None = None,
    ) -> None:
        """Print rows of texts; a cell that is a key of `styles` is shown in that style."""
        self._results.print(tables.texts(columns, rows, styles or {}))

    def error(self, error: ToolkitError) -> None:
        """Print an error and, below it, its detail."""
        self._messages.quiet = False
        self._messages.print(f"[bold red]error:[/] {tables.escape(str(error))}")
        if error.detail:
            self._messages.print(error.detail, style="dim", markup=False)


def _width() -> int | None:
    """A terminal's own width; wide enough not to fold where the output goes elsewhere."""
    return None if sys.stdout.isatty() else 160


def print_json(value: Any) -> None:
    """Print one JSON object on stdout; NaN and infinity become null."""
    import json

    sys.stdout.write(json.dumps(finite(value), allow_nan=False) + "\n")
    sys.stdout.flush()
