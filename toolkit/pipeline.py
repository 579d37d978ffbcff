"""Every stage in order. A newcomer starts here.

    recipe -> data -> train -> export -> verify

Each stage can be used alone: it takes a run directory and adds to it. `run_all` does them in one
go and exports in the workers that trained, which have the framework loaded already.
"""

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.artifacts import Check, Export, Run
from toolkit.console import Screen
from toolkit.data.load import Dataset, load
from toolkit.errors import StorageError, UsageError
from toolkit.export.job import DEFAULT_OPSET
from toolkit.export.stage import export as export_stage
from toolkit.hosts import ChildProcesses, Host
from toolkit.recipe import TITLES, Recipe
from toolkit.source import RecipeSource
from toolkit.train.group import WorkerGroup
from toolkit.train.session import Options, Session, session
from toolkit.verify.stage import verify as verify_stage

_RECORDED = ("ray", "tensorflow", "keras", "torch", "numpy")

After = Callable[[Run, str, WorkerGroup], None]


def train(source: RecipeSource, options: Options, root: Path, screen: Screen) -> Run:
    """Train a recipe and return its run directory.

    Args:
        source: the recipe.
        options: frameworks ('auto' and 'both' resolved), workers, cluster.
        root: folder of all runs.
        screen: where progress is shown.

    Raises:
        UsageError: recipe, data or resources do not fit; nothing was started or written.
        WorkerError: a worker failed; the run directory keeps its logs, with status 'failed'.
    """
    with _training(source, options, root, screen) as (run, _, train_now):
        train_now(None)
    screen.trained(run)
    return run


def export(
    run: Run, targets: Sequence[str], frameworks: Sequence[str], opset: int = DEFAULT_OPSET
) -> list[Export]:
    """Export a run's models, each conversion in a child process.

    Raises:
        UsageError: the run has not been trained with one of `frameworks`.
        ConversionError: a conversion failed.
    """
    for framework in frameworks:
        if framework not in run.frameworks:
            trained = ", ".join(run.frameworks) or "nothing yet"
            raise UsageError(
                f"run {run.name} has no {TITLES[framework]} model (it trained {trained}); "
                f"train one: toolkit train {run.facts['recipe']['name']} --framework {framework}"
            )
    with ChildProcesses() as children:
        return export_stage(run, targets, frameworks, lambda _: children, opset=opset)


def verify(run: Run) -> list[Check]:
    """Check every exported file of a run in every runtime that can read it."""
    with ChildProcesses() as children:
        return verify_stage(run, children, children)


def run_all(
    source: RecipeSource, options: Options, targets: Sequence[str], root: Path, screen: Screen
) -> tuple[Run, list[Check]]:
    """Train, export and verify in one go.

    Raises:
        ToolkitError: as `train`, `export` and `verify` do.
    """
    with _training(source, options, root, screen) as (run, opened, train_now):
        train_now(lambda run, name, group: _export_in(run, name, group, targets))
        screen.trained(run)
        screen.exports(run.exports)
        with ChildProcesses() as children:
            checks = verify_stage(run, children, _tensorflow_host(opened, children))
    return run, checks


def _export_in(run: Run, framework: str, group: WorkerGroup, targets: Sequence[str]) -> None:
    export_stage(run, targets, [framework], lambda _: group)


def _tensorflow_host(opened: Session, children: Host) -> Host:
    """The TensorFlow workers where they still run, otherwise child processes."""
    group = opened.groups.get("tf")
    return group if group is not None and opened.allocation.side_by_side else children


@contextmanager
def _training(
    source: RecipeSource, options: Options, root: Path, screen: Screen
) -> Iterator[tuple[Run, Session, Callable[[After | None], None]]]:
    """Check everything, connect to Ray, and offer a function that trains."""
    recipe = source.load()
    dataset = load(recipe)

    def make_run() -> Run:
        return Run.create(root, recipe.name, source, _facts(recipe, dataset))

    with session(options, recipe.global_batch, make_run) as opened:
        run = opened.run

        def train_now(after: After | None) -> None:
            workers, count = opened.allocation.workers, len(options.frameworks)
            names = " and ".join(TITLES[name] for name in options.frameworks)
            each = " each" if count > 1 else ""
            plural = "s" if workers > 1 else ""
            screen.say(f"training {recipe.name!r} with {names}, {workers} worker{plural}{each}")
            hook = None if after is None else (lambda name, group: after(run, name, group))
            with screen.training(options.frameworks):
                opened.train(source, dataset, screen.watch, hook)
            run.update(status="trained")

        try:
            yield run, opened, train_now
        except BaseException as error:
            with suppress(StorageError):  # a full disk must not hide what went wrong
                if run.facts["status"] == "training":
                    run.update(status="failed", error=str(error) or type(error).__name__)
            raise


def _facts(recipe: Recipe, dataset: Dataset) -> dict[str, object]:
    """What run.json records about how this run came to be."""
    versions = {name: _version(name) for name in _RECORDED}
    return {
        "seed": recipe.seed,
        "epochs": recipe.epochs,
        "global_batch": recipe.global_batch,
        "data": {
            "sha256": dataset.sha256,
            "train": len(dataset.train),
            "validation": len(dataset.validation),
        },
        "versions": {"python": platform.python_version()} | versions,
    }


def _version(package: str) -> str | None:
    from importlib import metadata  # slow to import, and not needed for --help

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
