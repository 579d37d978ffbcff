"""What a training remembers between epochs: rows, the best weights, patience, the ledger.

All ranks keep the same memory, since it follows from numbers that are equal on all of them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from toolkit.recipe import Array, Recipe
from toolkit.train.reports import Row


def better(metric: str, value: float, than: float | None, margin: float = 0.0) -> bool:
    """Whether `value` improves on `than` by more than `margin`; accuracy grows, losses fall."""
    if than is None:
        return True
    gain = value - than if metric.endswith("accuracy") else than - value
    return gain > margin


class Memory:
    """Rows of finished epochs, and what early stopping and `keep_best` have seen."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self.rows: list[Row] = []
        self.best: dict[str, Array] = {}
        self._best_epoch: int | None = None
        self._mark: float | None = None
        self._waited = 0

    @property
    def monitored(self) -> set[str]:
        """Metrics that decisions are made on."""
        stopping = self._recipe.early_stopping
        names = {self._recipe.keep_best, stopping.monitor if stopping else None}
        return {name for name in names if name is not None}

    def is_best(self, row: Row) -> bool:
        """Whether `row` has the best `keep_best` metric so far; remembers its epoch."""
        metric = self._recipe.keep_best
        if metric is None or metric not in row:
            return False
        best = self.best_row
        if better(metric, row[metric], best[metric] if best else None):
            self._best_epoch = row["epoch"]
            return True
        return False

    @property
    def best_row(self) -> Row | None:
        """The row of the epoch with the best weights, where they are kept."""
        return next((row for row in self.rows if row["epoch"] == self._best_epoch), None)

    def out_of_patience(self, row: Row) -> bool:
        """Take note of a validated epoch; whether training should stop."""
        stopping = self._recipe.early_stopping
        if stopping is None or stopping.monitor not in row:
            return False
        value = row[stopping.monitor]
        if better(stopping.monitor, value, self._mark, stopping.min_delta):
            self._mark, self._waited = value, 0
        else:
            self._waited += 1
        return self._waited >= stopping.patience

    def facts(self) -> dict[str, Any]:
        """All of it but the best weights, as JSON values; `restore` takes it back."""
        return {
            "rows": self.rows,
            "best_epoch": self._best_epoch,
            "mark": self._mark,
            "waited": self._waited,
        }

    def restore(self, facts: Mapping[str, Any], best: Mapping[str, Array]) -> None:
        """Remember what `facts` returned, and the best weights of that time."""
        self.rows = [dict(row) for row in facts["rows"]]
        self.best = dict(best)
        self._best_epoch = facts["best_epoch"]
        self._mark, self._waited = facts["mark"], facts["waited"]


class Ledger:
    """How often this rank trained each sample in the current epoch, and with how many peers."""

    def __init__(self, samples: int, world: int) -> None:
        self._world = world
        self.counts = np.zeros(samples)
        self.worlds: list[int] = []

    def add(self, ids: Array) -> None:
        """Count samples that were handed to the model."""
        np.add.at(self.counts, ids.ravel(), 1)
        if not self.worlds or self.worlds[-1] != self._world:
            self.worlds.append(self._world)

    def close(self, epoch: int, step: int, totals: Array) -> Row:
        """Account for an epoch, from the counts of all ranks, and begin the next."""
        row = {
            "epoch": epoch,
            "step": step,
            "samples": len(totals),
            "once": int((totals == 1).sum()),
            "missing": int((totals == 0).sum()),
            "repeated": int((totals > 1).sum()),
            "workers": self.worlds,
        }
        self.counts, self.worlds = np.zeros(len(totals)), []
        return row

    def restore(self, counts: Array, worlds: list[int]) -> None:
        """Go on from counts that all ranks together had; one rank alone takes them."""
        self.counts, self.worlds = np.array(counts, np.float64), list(worlds)
