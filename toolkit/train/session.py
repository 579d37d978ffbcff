"""Several frameworks trained side by side, their results written into the run directory."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol

from toolkit.data.load import Dataset
from toolkit.errors import UsageError
from toolkit.runs import Run
from toolkit.train import cluster
from toolkit.train.checkpoints import Checkpoints
from toolkit.train.group import WorkerGroup, put
from toolkit.train.record import Record
from toolkit.train.reports import Built, Left, Progress, Trained
from toolkit.train.resources import Allocation, Wanted, allocate
from toolkit.train.supervisor import Attempt, Supervisor
from toolkit.train.worker import Job


class Watcher(Protocol):
    """Who is told while frameworks train; called from their threads."""

    def watch(self, framework: str, report: Progress) -> None:
        """Steps were trained."""

    def event(self, framework: str, message: str, state: str | None = None) -> None:
        """Something happened; `state` is shown until the framework's next report."""


@dataclass(frozen=True)
class Options:
    """How to train, apart from the recipe.

    Attributes:
        frameworks: out of 'tf' and 'torch'.
        workers: least and most of each framework, or None for as many as there is room for.
        address: of an existing Ray cluster, or None to start one here.
        verbose: let the workers print instead of writing to log files.
        max_failures: of each framework, after which training goes on from a checkpoint.
        checkpoint_every: see `toolkit.train.settings.Settings`.
        checkpoint_dir: path or URL that the run's checkpoints are kept below, or None for the run
            directory.
        keep: how many checkpoints are kept.
        ledger: count how often each sample is trained.
    """

    frameworks: tuple[str, ...]
    workers: Wanted = None
    address: str | None = None
    verbose: bool = False
    max_failures: int = 3
    checkpoint_every: str | int = "auto"
    checkpoint_dir: str | None = None
    keep: int = 3
    ledger: bool = False

    def __post_init__(self) -> None:
        least, most = self.workers or (1, 1)
        every = self.checkpoint_every
        known = (isinstance(every, int) and every > 0) or every in ("auto", "epoch", "never")
        for name, value, right, wanted in (
            ("workers", self.workers, 1 <= least <= most, "from 1 on, the least before the most"),
            ("max_failures", self.max_failures, self.max_failures >= 0, "from 0 on"),
            ("keep", self.keep, self.keep >= 1, "from 1 on"),
            ("checkpoint_every", every, known, "'auto', 'epoch', 'never' or a number from 1 on"),
        ):
            if not right:
                raise UsageError(f"{name} is {value!r}, and must be {wanted}")


After = Callable[[str, WorkerGroup], None]


class Session:
    """A connected cluster with a supervised worker group a framework.

    Attributes:
        allocation: what each worker got at the beginning.
        left: step by framework, of those that saved and left because they were asked to.
    """

    def __init__(
        self,
        options: Options,
        share: Callable[[], Allocation],
        run: Run,
        dataset: Dataset,
        checkpoints: Callable[[str], Checkpoints],
    ) -> None:
        self.run = run
        self._dataset = dataset
        self.left: dict[str, int] = {}
        self.allocation = share()
        self.side_by_side = self.allocation.side_by_side
        logs = None if options.verbose else run.path / "logs"
        self._leaving = False
        self.supervisors = {
            name: Supervisor(name, share, checkpoints(name), options.max_failures, logs)
            for name in options.frameworks
        }
        if self.side_by_side:
            for supervisor in self.supervisors.values():
                supervisor.start()

    def train(
        self,
        jobs: Callable[[str], Job],
        watcher: Watcher,
        after: After | None = None,
    ) -> None:
        """Train every framework and write its model, metrics and golden vectors.

        The first Ctrl-C or SIGTERM lets them save and leave, see `left`; the second ends them.

        Args:
            jobs: what each framework trains.
            watcher: is told what happens.
            after: called with (framework, group) as soon as that framework is trained, while
                its workers still run and the other framework may still train.

        Raises:
            WorkerError: workers failed for good; the other framework is stopped too.
            KeyboardInterrupt: nothing was trained yet, or this was the second request.
        """
        shared = put(self._dataset)
        with ThreadPoolExecutor(len(self.supervisors) if self.side_by_side else 1) as pool:
            work = [
                pool.submit(self._train_one, each, jobs(name), shared, watcher, after)
                for name, each in self.supervisors.items()
            ]
            try:
                self._wait(work, watcher)
            except BaseException:  # end the workers, or the threads wait for them
                for future in work:
                    future.cancel()
                self.close()
                raise

    def close(self) -> None:
        """End all workers."""
        for supervisor in self.supervisors.values():
            supervisor.close()

    def _wait(self, work: list["Future[None]"], watcher: Watcher) -> None:
        waiting = set(work)
        while waiting:
            try:
                done, waiting = wait(waiting, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            except KeyboardInterrupt:
                trained = any(each.progressed for each in self.supervisors.values())
                if self._leaving or not trained:
                    raise
                self._leaving = True
                for name, supervisor in self.supervisors.items():
                    told = "saving and leaving; once more to leave without saving"
                    watcher.event(name, told, "saving")
                    supervisor.leave()

    def _train_one(
        self,
        supervisor: Supervisor,
        job: Job,
        dataset: Any,
        watcher: Watcher,
        after: After | None,
    ) -> None:
        name = supervisor.framework
        record = Record(self.run, name)
        with contextlib.closing(record):
            for report in supervisor.run(job, dataset):
                match report:
                    case Attempt():
                        record.begin(report)
                        _tell(watcher, supervisor, report)
                    case Progress():
                        record.progress(report)
                        watcher.watch(name, report)
                    case Built():
                        record.built(report)
                    case Trained():
                        record.trained(report, supervisor.facts())
                        if after is not None and not self._leaving:
                            after(name, supervisor.group)
                    case Left():
                        self.left[name] = report.step
        if not self.side_by_side:
            supervisor.close()


def _tell(watcher: Watcher, supervisor: Supervisor, attempt: Attempt) -> None:
    framework, failed = supervisor.framework, len(supervisor.failures)
    for note in attempt.notes:
        watcher.event(framework, note)
    if attempt.state is not None or attempt.number > 1:
        step = attempt.state.step if attempt.state else 0
        plural = "s" if attempt.workers > 1 else ""
        told = f"going on from step {step} with {attempt.workers} worker{plural}"
        watcher.event(framework, told, f"restarting, failure {failed}" if failed else "starting")


@contextlib.contextmanager
def session(
    options: Options,
    global_batch: int,
    begin: Callable[[], tuple[Run, Dataset]],
    checkpoints: Callable[[Run, Dataset, str], Checkpoints],
) -> Iterator[Session]:
    """Connect to Ray and start a worker group a framework; end them when the block ends.

    Args:
        options: how to train.
        global_batch: the recipe's.
        begin: makes or opens the run directory and reads the data, once Ray is connected.
        checkpoints: where a run keeps a framework's states.

    Raises:
        ResourceError: more workers than CPUs; nothing was started or written.
        UsageError: another process trains the run.
    """
    count = len(options.frameworks)
    if options.address is None:  # refuse before Ray is started
        allocate(options.workers, count, cluster.local_cpus(), 0, global_batch)

    def share() -> Allocation:
        return allocate(options.workers, count, *cluster.resources(), global_batch)

    with cluster.connect(options.address, options.verbose):
        share()
        run, dataset = begin()
        keep = functools.partial(checkpoints, run, dataset)
        with run.locked():
            opened = Session(options, share, run, dataset, keep)
            try:
                yield opened
            finally:
                opened.close()
