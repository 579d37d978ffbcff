"""The training stage: a new run, or an old one that goes on.

Checks everything before anything is started, opens the session, and closes the run's books.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from toolkit.data.load import Dataset, Unread, load
from toolkit.errors import StoppedError, StorageError, UsageError
from toolkit.recipe import FRAMEWORKS, TITLES, Recipe
from toolkit.runs import Run
from toolkit.source import RecipeSource
from toolkit.train import cluster, resuming, weights
from toolkit.train import prove as proofs
from toolkit.train.batches import check_schedule
from toolkit.train.checkpoints import Checkpoints, Identity
from toolkit.train.group import put
from toolkit.train.origin import facts_of
from toolkit.train.record import check_ledger
from toolkit.train.resources import Allocation, allocate
from toolkit.train.session import After, Options, Session, Watcher, session
from toolkit.train.settings import Settings
from toolkit.train.storage import Storage
from toolkit.train.worker import Job

Accept = Callable[[Dataset], None]
"""Raises where the data do not fit what comes after the training."""


class Screen(Watcher, Protocol):
    """Where messages go; `toolkit.console.Screen` is one."""

    def say(self, message: str) -> None:
        """Print a line."""

    def training(self, frameworks: Sequence[str]) -> AbstractContextManager[None]:
        """Show progress while the block runs."""


class Training:
    """A run whose session is open."""

    def __init__(
        self,
        source: RecipeSource,
        options: Options,
        opened: Session,
        screen: Screen,
        began: float | None = None,
    ) -> None:
        self.run, self.session = opened.run, opened
        self._began = began
        self._source, self._options, self._screen = source, options, screen

    def train(self, after: After | None = None) -> None:
        """Train all frameworks to the end.

        Args:
            after: see `Session.train`.

        Raises:
            StoppedError: they saved and left because they were asked to.
            CheckError: the ledger does not show every sample once.
        """
        names, screen, run = self._options.frameworks, self._screen, self.run
        screen.say(_announcement(self._source.load(), names, self.session.allocation))
        with screen.training(names):
            self.session.train(self._job, screen, after)
        if left := self.session.left:
            steps = " and ".join(f"{TITLES[name]} after step {left[name]}" for name in left)
            raise StoppedError(f"stopped {steps}; go on with: toolkit train --resume {run.name}")
        run.update(status="trained", error=None, **self._timings())
        if self._options.ledger:
            rows, facts = run.rows("ledger"), run.facts["frameworks"]
            for name in names:
                screen.say(check_ledger(rows, name, facts[name]["epochs"]))

    def _timings(self) -> dict[str, Any]:
        """Seconds of the whole, start-up and the exports among it, for later plans."""
        if self._began is None:
            return {}
        seconds = round(time.perf_counter() - self._began, 1)
        return {"timings": {"train": seconds, "files": len(self.run.exports)}}

    def _job(self, framework: str) -> Job:
        settings = Settings(
            checkpoint_every=self._options.checkpoint_every, ledger=self._options.ledger
        )
        return Job(self._source, settings, weights.kept(self.run, framework))


@contextmanager
def new(
    source: RecipeSource,
    options: Options,
    root: Path,
    screen: Screen,
    accept: Accept | None = None,
) -> Iterator[Training]:
    """Open a session for a run that begins; `accept` looks at streams, too, once they are read."""
    began, recipe = time.perf_counter(), source.load()
    loaded, first = checked(source, options.frameworks, accept)

    def begin() -> tuple[Run, Dataset]:
        dataset = _read(loaded, source, screen)
        if isinstance(loaded, Unread):
            _check(source, dataset, accept)
        facts = facts_of(recipe, dataset) | {"options": resuming.recorded(options)}
        run = Run.create(root, recipe.name, source, facts)
        for name, content in first.items():
            if content is not None:
                weights.keep(run, name, content)
        return run, dataset

    with _open(source, options, begin, screen, began) as training:
        yield training


def checked(
    source: RecipeSource, frameworks: Sequence[str], accept: Accept | None = None
) -> tuple[Dataset | Unread, dict[str, bytes | None]]:
    """The data, and the weights to start from by framework; nothing is started.

    Args:
        source: the recipe.
        frameworks: that are trained.
        accept: looks at the data; of streams nothing is known yet.

    Raises:
        UsageError: data, schedule or weights do not fit.
    """
    recipe = source.load()
    loaded = load(recipe)
    if isinstance(loaded, Dataset):
        _check(source, loaded, accept)
    return loaded, {name: weights.read(source, recipe, name) for name in frameworks}


def _check(source: RecipeSource, dataset: Dataset, accept: Accept | None) -> None:
    """Refuse data that do not fit the schedule, or what comes after the training."""
    check_schedule(source.load(), dataset.epoch_samples)
    if accept is not None:
        accept(dataset)


@contextmanager
def again(run: Run, options: Options, screen: Screen) -> Iterator[Training]:
    """Open a session for a run that goes on.

    Raises:
        UsageError: nothing is left to train, or the run cannot go on.
        DataError: the data are not those that the run began with.
    """
    options, source, loaded = resuming.options_of(run, options), run.source, resuming.data_of(run)

    def begin() -> tuple[Run, Dataset]:
        dataset = _read(loaded, source, screen)
        if isinstance(loaded, Unread):
            resuming.check_same(run, dataset)
        return run, dataset

    with _open(source, options, begin, screen) as training:
        run.update(status="training", error=None)
        yield training


def prove(
    source: RecipeSource, options: Options, steps: int, logs: Path | None, screen: Screen
) -> list[proofs.Proof]:
    """See `toolkit.pipeline.prove`."""
    recipe = source.load()
    loaded = load(recipe)
    options = for_proof(options)
    if options.address is None:
        allocate(options.workers, 1, cluster.local_cpus(), 0, recipe.global_batch)
    results = []
    with cluster.connect(options.address, options.verbose):
        share = allocate(options.workers, 1, *cluster.resources(), recipe.global_batch)
        if share.workers < 2:
            raise UsageError("a proof compares one worker with several; use --workers 2 or more")
        shared = put(_read(loaded, source, screen))
        for name in options.frameworks:
            screen.say(f"{TITLES[name]}: {steps} steps on 1 and on {share.workers} workers")
            job = Job(source, Settings(), weights.read(source, recipe, name))
            results.append(proofs.prove(name, job, shared, share, steps, logs))
    return results


def for_proof(options: Options) -> Options:
    """Two workers are compared with one, where no number was given.

    Raises:
        UsageError: only one may be used.
    """
    options = replace(options, workers=options.workers or (2, 2))
    if options.workers is not None and options.workers[1] < 2:
        raise UsageError("a proof compares one worker with several; use --workers 2 or more")
    return options


@contextmanager
def _open(
    source: RecipeSource,
    options: Options,
    begin: Callable[[], tuple[Run, Dataset]],
    screen: Screen,
    began: float | None = None,
) -> Iterator[Training]:
    recipe = source.load()

    def checkpoints(run: Run, dataset: Dataset, name: str) -> Checkpoints:
        place = options.checkpoint_dir
        location = below(place, run.name) if place else str(run.path / "checkpoints")
        identity = Identity(source.sha256, name, dataset.sha256)
        storage = Storage.at(below(location, name))
        return Checkpoints(storage, identity, options.keep, recipe.keep_best)

    with session(options, recipe.global_batch, begin, checkpoints) as opened:
        try:
            yield Training(source, options, opened, screen, began)
        except BaseException as error:
            _close_books(opened.run, error)
            raise


def _read(loaded: Dataset | Unread, source: RecipeSource, screen: Screen) -> Dataset:
    """The data, streams turned into records; Ray is connected."""
    if isinstance(loaded, Dataset):
        return loaded
    screen.say("reading the recipe's streams")
    return loaded.read(source)


def _close_books(run: Run, error: BaseException) -> None:
    """Record why a training did not come to its end."""
    status = "stopped" if isinstance(error, StoppedError | KeyboardInterrupt) else "failed"
    with suppress(StorageError):  # a full disk must not hide what went wrong
        if run.facts["status"] == "training":
            run.update(status=status, error=str(error) or type(error).__name__)


def below(location: str, name: str) -> str:
    """A folder in a folder, which may be a path or a URL with a query."""
    place, question, query = location.partition("?")
    return f"{place.rstrip('/')}/{name}{question}{query}"


def _announcement(recipe: Recipe, frameworks: tuple[str, ...], share: Allocation) -> str:
    names = " and ".join(TITLES[name] for name in FRAMEWORKS if name in frameworks)
    each = " each" if len(frameworks) > 1 else ""
    plural = "s" if share.workers > 1 else ""
    told = f"training {recipe.name!r} with {names}, {share.workers} worker{plural}{each}"
    gpus = cluster.resources()[1]
    if gpus and not share.gpus:
        told += (
            f"\nnone of {gpus} GPUs is used: they are fewer than the workers; use --workers {gpus}"
        )
    return told
