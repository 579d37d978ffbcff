"""What a training leaves in the run directory: rows, events, ledger, model, golden vectors."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.artifacts import Golden
from toolkit.errors import CheckError
from toolkit.recipe import TITLES
from toolkit.runs import Run
from toolkit.train.events import EventWriter
from toolkit.train.reports import Built, Progress, Trained
from toolkit.train.supervisor import Attempt

_TABLES = ("metrics", "ledger")


class Record:
    """One framework's part of a run directory, written while it trains."""

    def __init__(self, run: Run, framework: str) -> None:
        self._run, self._framework = run, framework
        self._events: EventWriter | None = None
        self._drawn = False  # the graph stays the same over attempts

    def begin(self, attempt: Attempt) -> None:
        """Forget what an earlier attempt wrote after the step that this one goes on from."""
        step = attempt.state.step if attempt.state else 0
        for table in _TABLES:
            self._run.rewind_rows(table, self._framework, step)
        self.close()
        folder = self._run.path / "tensorboard" / self._framework
        self._events = EventWriter(folder, first_step=step)

    def built(self, built: Built) -> None:
        """Keep the model's graph for TensorBoard."""
        if self._events is not None and built.graph is not None and not self._drawn:
            self._events.graph(built.graph)
            self._drawn = True

    def progress(self, progress: Progress) -> None:
        """Keep the rows of finished epochs."""
        rows = [row | {"time": time.time()} for row in progress.rows]
        if rows:
            self._run.append_rows("metrics", self._framework, rows)
        if progress.ledger:
            self._run.append_rows("ledger", self._framework, progress.ledger)
        if self._events is not None:
            self._events.rows(rows)
            if progress.histograms is not None:
                self._events.histograms(progress.step, progress.histograms)

    def trained(self, trained: Trained, facts: Mapping[str, Any]) -> None:
        """Keep the trained model, its golden vectors and its facts."""
        for name, content in trained.files.items():
            self._run.write(f"{self._framework}/{name}", content)
        self._run.write(f"{self._framework}/golden.npz", trained.golden)
        if self._events is not None:
            inputs = Golden.from_bytes(trained.golden).inputs
            named = {f"golden/{name}": array for name, array in inputs.items()}
            self._events.images(int(trained.metrics.get("step", 0)), named)
        all_facts = dict(facts) | dict(trained.facts) | trained.metrics
        self._run.record_framework(self._framework, all_facts)

    def close(self) -> None:
        """Close the event file."""
        if self._events is not None:
            self._events.close()
            self._events = None


def check_ledger(rows: Sequence[Mapping[str, Any]], framework: str, epochs: int) -> str:
    """Say that every sample was trained exactly once in every epoch.

    Args:
        rows: of the ledger, all frameworks.
        framework: whose rows count.
        epochs: that were trained.

    Raises:
        CheckError: a sample was missed or repeated, or an epoch has no row.
    """
    own = [row for row in rows if row["framework"] == framework]
    title = TITLES[framework]
    for row in own:
        if row["missing"] or row["repeated"]:
            raise CheckError(
                f"{title}, epoch {row['epoch']}: {row['missing']} of {row['samples']} samples were "
                f"missed and {row['repeated']} repeated; details are in ledger.jsonl"
            )
    seen = [row["epoch"] for row in own]
    if seen != list(range(1, epochs + 1)):
        raise CheckError(f"{title}: the ledger has epochs {seen}, but {epochs} were trained")
    worlds = sorted({world for row in own for world in row["workers"]})
    counts = " and ".join(map(str, worlds))
    return (
        f"{title}: each of {own[0]['samples']} samples exactly once in each of {epochs} epochs "
        f"(on {counts} workers)"
    )
