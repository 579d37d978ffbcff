"""Several frameworks trained side by side, their results written into the run directory."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from toolkit.artifacts import Run
from toolkit.data.load import Dataset
from toolkit.source import RecipeSource
from toolkit.train import cluster
from toolkit.train.events import event_file
from toolkit.train.group import WorkerGroup, put
from toolkit.train.loop import Progress, Trained
from toolkit.train.resources import Allocation, allocate

Watch = Callable[[str, Progress], None]


@dataclass(frozen=True)
class Options:
    """How to train, apart from the recipe.

    Attributes:
        frameworks: out of 'tf' and 'torch'.
        workers: of each framework, or None for as many as there is room for.
        address: of an existing Ray cluster, or None to start one here.
        verbose: let the workers print instead of writing to log files.
    """

    frameworks: tuple[str, ...]
    workers: int | None = None
    address: str | None = None
    verbose: bool = False


class Session:
    """A connected cluster with a worker group a framework."""

    def __init__(self, options: Options, allocation: Allocation, run: Run) -> None:
        self.allocation = allocation
        self.run = run
        logs = None if options.verbose else run.path / "logs"
        self.groups = {name: WorkerGroup(name, allocation, logs) for name in options.frameworks}
        if allocation.side_by_side:
            for group in self.groups.values():
                group.start()

    def train(
        self,
        source: RecipeSource,
        dataset: Dataset,
        watch: Watch,
        after: Callable[[str, WorkerGroup], None] | None = None,
    ) -> None:
        """Train every framework and write its model, metrics and golden vectors.

        Args:
            source: the recipe.
            dataset: its data.
            watch: called with (framework, progress) from the framework's thread.
            after: called with (framework, group) as soon as that framework is trained, while
                its workers still run and the other framework may still train.

        Raises:
            WorkerError: a worker failed; the other framework is stopped too.
        """
        shared = put(dataset)
        parallel = len(self.groups) if self.allocation.side_by_side else 1
        with ThreadPoolExecutor(parallel) as pool:
            work = [
                pool.submit(self._train_one, name, group, (source, shared), watch, after)
                for name, group in self.groups.items()
            ]
            try:
                done, _ = wait(work, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            except BaseException:  # Ctrl-C too: end the workers, or the threads wait for them
                for future in work:
                    future.cancel()
                self.close()
                raise

    def close(self) -> None:
        """End all workers."""
        for group in self.groups.values():
            group.close()

    def _train_one(
        self,
        framework: str,
        group: WorkerGroup,
        job: tuple[RecipeSource, Any],
        watch: Watch,
        after: Callable[[str, WorkerGroup], None] | None,
    ) -> None:
        if not self.allocation.side_by_side:
            group.start()
        rows: list[dict[str, Any]] = []
        started = time.time()
        for report in group.train(*job):
            if isinstance(report, Trained):
                self._write(framework, report, rows, started)
            else:
                fresh = [row | {"time": time.time()} for row in report.rows]
                self.run.append_metrics(framework, fresh)
                rows += fresh
                watch(framework, report)
        if after is not None:
            after(framework, group)
        if not self.allocation.side_by_side:
            group.close()

    def _write(
        self, framework: str, trained: Trained, rows: list[dict[str, Any]], started: float
    ) -> None:
        run = self.run
        for name, content in trained.files.items():
            run.write(f"{framework}/{name}", content)
        run.write(f"{framework}/golden.npz", trained.golden)
        run.write(
            f"tensorboard/{framework}/events.out.tfevents.{int(started)}.toolkit",
            event_file(rows, started),
        )
        place = {"world": self.allocation.workers, "threads": self.allocation.threads}
        run.record_framework(framework, place | dict(trained.facts) | trained.metrics)


@contextlib.contextmanager
def session(options: Options, global_batch: int, make_run: Callable[[], Run]) -> Iterator[Session]:
    """Connect to Ray and start a worker group a framework; end them when the block ends.

    Raises:
        ResourceError: more workers than CPUs; nothing was started or written.
    """
    count = len(options.frameworks)
    if options.address is None:  # refuse before Ray is started
        allocate(options.workers, count, cluster.local_cpus(), 0, global_batch)
    with cluster.connect(options.address, options.verbose):
        cpus, gpus = cluster.resources()
        allocation = allocate(options.workers, count, cpus, gpus, global_batch)
        opened = Session(options, allocation, make_run())
        try:
            yield opened
        finally:
            opened.close()
