"""The proof that the number of workers does not change what is trained.

Trains some steps with one worker and again with several, and compares all weights and slots.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import ToolkitError
from toolkit.recipe import Array
from toolkit.train.group import WorkerGroup
from toolkit.train.reports import Built, Checkpoint
from toolkit.train.resources import Allocation
from toolkit.train.settings import Settings
from toolkit.train.state import State
from toolkit.train.worker import Job

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Proof:
    """What one and several workers made of the same steps.

    Attributes:
        framework: 'tf' or 'torch'.
        workers: of the second training.
        steps: optimizer steps of each.
        difference: greatest difference of a weight, in units of 1 + its size.
        where: the weight with that difference.
        causes: known reasons for a difference, such as plain batch normalisation.
    """

    framework: str
    workers: int
    steps: int
    difference: float
    where: str
    causes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether no weight differs by more than the tolerance."""
        return self.difference <= TOLERANCE


def prove(
    framework: str, job: Job, dataset: Any, allocation: Allocation, steps: int, logs: Path | None
) -> Proof:
    """Train `steps` optimizer steps with one worker and with those of `allocation`.

    Args:
        framework: 'tf' or 'torch'.
        job: what to train; its settings are replaced.
        dataset: a Ray object reference to the `Dataset`.
        allocation: of the second training; at least two workers.
        steps: at most those of the whole recipe.
        logs: folder for the workers' output, or None.
    """
    single = Allocation(1, allocation.cpus, allocation.gpus, allocation.threads, True)
    settings = Settings(checkpoint_every="never", limit=steps, watch=False)
    job = Job(job.source, settings, job.weights)
    (one, _), (many, causes) = [
        _run(framework, job, dataset, each, logs) for each in (single, allocation)
    ]
    where, difference = compare(one.arrays, many.arrays)
    return Proof(framework, allocation.workers, one.step, difference, where, tuple(causes))


def compare(one: dict[str, Array] | Any, many: dict[str, Array] | Any) -> tuple[str, float]:
    """The array that differs most, and its greatest difference in units of 1 + its size."""
    worst = ("", 0.0)
    for name, array in one.items():
        if not name.startswith("model.") or not array.size:
            continue
        first, second = array.astype(np.float64), many[name].astype(np.float64)
        difference = float((np.abs(first - second) / (1 + np.abs(first))).max())
        if not difference <= worst[1]:  # NaN is a difference too
            worst = (name.removeprefix("model."), difference)
    return worst


def _run(
    framework: str, job: Job, dataset: Any, allocation: Allocation, logs: Path | None
) -> tuple[State, list[str]]:
    group = WorkerGroup(framework, allocation, logs)
    group.start()
    state, causes = None, list[str]()
    try:
        for report in group.train(job, dataset):
            if isinstance(report, Checkpoint):
                state = report.state
            if isinstance(report, Built):
                causes = report.batch_dependent
    finally:
        group.close()
    if state is None:
        raise ToolkitError("training ended before the first step that could be compared")
    return state, causes
