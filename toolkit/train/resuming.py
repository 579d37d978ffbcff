"""What a run goes on with: its own options where they count, and the data that it began with."""

from dataclasses import asdict, replace
from typing import Any

from toolkit.data.load import Dataset, Unread, load
from toolkit.errors import DataError, UsageError
from toolkit.runs import Run
from toolkit.train.session import Options

_KEPT = ("checkpoint_every", "checkpoint_dir", "keep", "ledger")  # options that resuming takes over


def recorded(options: Options) -> dict[str, Any]:
    """What a run records of its options; `options_of` reads it."""
    return {name: value for name, value in asdict(options).items() if name in _KEPT} | {
        "frameworks": list(options.frameworks)
    }


def options_of(run: Run, options: Options) -> Options:
    """How a run goes on: what is left to train, and its own options where they count.

    Raises:
        UsageError: nothing is left to train, or the run cannot go on.
    """
    given = run.facts.get("options")
    if not given:
        raise UsageError(f"run {run.name} was made by an older toolkit; train anew")
    left = tuple(name for name in given["frameworks"] if name not in run.frameworks)
    if not left:
        raise UsageError(f"run {run.name} is trained; next: toolkit export --run {run.name}")
    return replace(options, frameworks=left, **{name: given[name] for name in _KEPT})


def data_of(run: Run) -> Dataset | Unread:
    """The data that a run goes on with; streams can be compared only once they are read.

    Raises:
        DataError: they are not those that the run began with.
    """
    loaded = load(run.source.load())
    if isinstance(loaded, Dataset):
        check_same(run, loaded)
    return loaded


def check_same(run: Run, dataset: Dataset) -> None:
    """Refuse data that the run did not begin with.

    Raises:
        DataError: they are not those.
    """
    facts = run.facts
    if dataset.sha256 != facts["data"]["sha256"]:
        raise DataError(
            f"the data of recipe {facts['recipe']['name']!r} are not those that run "
            f"{run.name} began with (their SHA-256 differs); restore them, or train anew"
        )
