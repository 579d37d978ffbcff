"""Keeps one framework training: starts its workers, saves, and starts again after a failure.

The decisions are `toolkit.train.policy`'s, the sizes `toolkit.train.resources`'s. The result of a
training does not depend on how often it was interrupted, nor on how many workers it had.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import ResourceError
from toolkit.recipe import TITLES
from toolkit.train.checkpoints import Checkpoints
from toolkit.train.failures import AttemptError
from toolkit.train.group import WorkerGroup, put
from toolkit.train.policy import Cause, Failure, Patience, reason_to_give_up
from toolkit.train.reports import Checkpoint, Left, Progress, Report
from toolkit.train.resources import Allocation
from toolkit.train.state import State
from toolkit.train.worker import Job

_ROOM_SECONDS = 60.0
_LOOK_SECONDS = 5.0  # between two looks at whether the cluster has grown


@dataclass(frozen=True)
class Attempt:
    """Training begins or begins again.

    Attributes:
        number: counted from 1.
        workers: how many train.
        state: where they go on from; None is the beginning.
        notes: why it is not the first attempt, and what was found damaged.
    """

    number: int
    workers: int
    state: State | None
    notes: tuple[str, ...]


class Supervisor:
    """The training of one framework, from its first attempt to its last.

    Attributes:
        progressed: whether the current attempt has trained a step.
        failures: so far.
        attempts: so far.

    Args:
        framework: 'tf' or 'torch'.
        allocate: shares out what the cluster has now; raises ResourceError where it is too little.
        checkpoints: where states are kept.
        max_failures: how many failed attempts are followed by another one.
        logs: folder for the workers' output, or None to let it through.
        patience: how long workers may be silent or stuck.
    """

    def __init__(
        self,
        framework: str,
        allocate: Callable[[], Allocation],
        checkpoints: Checkpoints,
        max_failures: int,
        logs: Path | None,
        patience: Patience | None = None,
    ) -> None:
        self.framework = framework
        self.failures: list[Failure] = []
        self.attempts = 0
        self._allocate, self._checkpoints = allocate, checkpoints
        self._max_failures, self._logs = max_failures, logs
        self._patience = patience or Patience()
        self._group: WorkerGroup | None = None
        self._leaving = threading.Event()
        self._step, self._looked = 0, time.monotonic()
        self.progressed = self._growing = False

    def start(self) -> None:
        """Start the workers, which import their framework; returns at once."""
        assert self.group

    def facts(self) -> dict[str, Any]:
        """How this training went, for run.json."""
        share = self.group.allocation
        failures = [
            f"after step {each.step}: worker {each.rank} {each.message}" for each in self.failures
        ]
        return {
            "world": share.workers,
            "threads": share.threads,
            "attempts": self.attempts,
            "failures": failures,
        }

    @property
    def group(self) -> WorkerGroup:
        """The workers, started."""
        if self._group is None:
            self._group = WorkerGroup(self.framework, self._allocate(), self._logs, self._patience)
            self._group.start()
        return self._group

    def run(self, job: Job, dataset: Any) -> Iterator[Report | Attempt]:
        """Train to the end, or until `leave`; yield attempts and what rank 0 reports.

        Args:
            job: what to train.
            dataset: a Ray object reference to the `Dataset`.

        Raises:
            AttemptError: the last of too many failures.
            StorageError: a checkpoint could not be written; the last good one is kept.
            ToolkitError: the recipe, data or a checkpoint does not fit.
        """
        notes: list[str] = []
        while True:
            try:
                yield from self._attempt(job, dataset, notes)
            except AttemptError as error:
                if self._leaving.is_set():
                    yield Left(self._step)
                    return
                notes = [self._after(error)]
            else:
                if not self._growing or self._leaving.is_set():
                    return
                notes = ["the cluster has room for more workers"]
            self._end()

    def leave(self) -> None:
        """Save and end; an attempt that has trained nothing yet ends at once."""
        self._leaving.set()
        if self._group is not None and self.progressed:
            self._group.leave()
        else:
            self._end()

    def close(self) -> None:
        """End the workers for good, whatever they do."""
        self._leaving.set()
        self._end()

    def _end(self) -> None:
        group, self._group = self._group, None
        if group is not None:
            group.close()

    def _attempt(self, job: Job, dataset: Any, notes: list[str]) -> Iterator[Report | Attempt]:
        group = self._room()
        if group is None:
            yield Left(self._step)
            return
        state, damaged = self._checkpoints.newest()
        self.attempts += 1
        self._step = state.step if state else 0
        self.progressed = self._growing = False
        yield Attempt(self.attempts, group.allocation.workers, state, (*notes, *damaged))
        for report in group.train(job, dataset, put(state) if state else None):
            if isinstance(report, Checkpoint):
                self._checkpoints.save(report.state, report.row)
            if isinstance(report, Progress):
                self._step, self.progressed = report.step, True
                self._look_for_room(group)
            if not isinstance(report, Left) or not self._growing or self._leaving.is_set():
                yield report

    def _after(self, error: AttemptError) -> str:
        """Take note of a failure; return what to tell, or raise where it was the last."""
        failure = Failure(error.cause, error.rank, self._step, self.progressed, error.what)
        self.failures.append(failure)
        reason = reason_to_give_up(self.failures, self._max_failures)
        if reason is None:
            return str(error)
        hint = {
            Cause.MEMORY: "use fewer --workers, a smaller global_batch, or 'accumulate'",
            Cause.RAISED: "correct the recipe",
        }.get(error.cause, "--max-failures allows more")
        message = f"{error}; {reason}; {hint}"
        raise AttemptError(
            message, error.cause, error.rank, what=error.what, detail=error.detail
        ) from error

    def _room(self) -> WorkerGroup | None:
        """Start workers, fewer or more where the cluster has changed; wait a minute for room.

        Returns:
            None: training was asked to leave in the meantime.
        """
        deadline = time.monotonic() + _ROOM_SECONDS
        while not self._leaving.is_set():
            try:
                if self._group is not None and self._allocate() != self._group.allocation:
                    self._end()
                if (group := self.group).placed(_LOOK_SECONDS):
                    return group
                problem = self._no_room(group.allocation)
            except ResourceError as error:  # a lost machine may come back
                if not self.attempts:  # too much was asked for from the beginning
                    raise
                problem = error
                time.sleep(1.0)
            if time.monotonic() >= deadline:
                raise problem
        return None

    def _no_room(self, share: Allocation) -> ResourceError:
        each = f"{share.cpus:g} CPU" + (f" and {share.gpus} GPU" if share.gpus else "")
        return ResourceError(
            f"the cluster has no room for {share.workers} {TITLES[self.framework]} workers of "
            f"{each} within {_ROOM_SECONDS:g} s; use fewer --workers, a range such as "
            "--workers 1:4, or see 'ray status'"
        )

    def _look_for_room(self, group: WorkerGroup) -> None:
        """Every few seconds: ask the workers to leave where more of them would fit now."""
        if self._growing or time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        with contextlib.suppress(ResourceError):  # it has shrunk; who still trains may go on
            if self._allocate().workers > group.allocation.workers:
                self._growing = True
                group.leave()
