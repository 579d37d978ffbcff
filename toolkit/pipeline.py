"""Every stage in order. A newcomer starts here.

    recipe -> data -> train -> export -> verify

Each stage can be used alone: it takes a run directory and adds to it. `run_all` does them in one
go and exports in the workers that trained, which have the framework loaded already.
"""

from collections.abc import Sequence
from pathlib import Path

from toolkit.artifacts import Check, Export, Run
from toolkit.console import Screen
from toolkit.errors import UsageError
from toolkit.export.job import DEFAULT_OPSET
from toolkit.export.stage import export as export_stage
from toolkit.hosts import ChildProcesses, Host
from toolkit.recipe import TITLES
from toolkit.source import RecipeSource
from toolkit.train import training
from toolkit.train.group import WorkerGroup
from toolkit.train.prove import Proof
from toolkit.train.session import Options, Session
from toolkit.verify.stage import verify as verify_stage


def train(source: RecipeSource, options: Options, root: Path, screen: Screen) -> Run:
    """Train a recipe and return its run directory.

    Args:
        source: the recipe.
        options: frameworks ('auto' and 'both' resolved), workers, cluster, checkpoints.
        root: folder of all runs.
        screen: where progress is shown.

    Raises:
        UsageError: recipe, data or resources do not fit; nothing was started or written.
        WorkerError: workers failed for good; the run directory keeps logs and checkpoints.
        StoppedError: Ctrl-C or SIGTERM; `resume` goes on.
    """
    with training.new(source, options, root, screen) as job:
        job.train()
    screen.trained(job.run)
    return job.run


def resume(run: Run, options: Options, screen: Screen) -> Run:
    """Go on with a training that was stopped, failed or killed, from its newest checkpoint.

    Args:
        run: its directory.
        options: only workers, address, verbosity and failures count; the rest is the run's.
        screen: where progress is shown.

    Raises:
        UsageError: the run is complete, is being trained, or its data or recipe changed.
    """
    with training.again(run, options, screen) as job:
        job.train()
    screen.trained(run)
    return run


def prove(
    source: RecipeSource, options: Options, steps: int, logs: Path | None, screen: Screen
) -> list[Proof]:
    """Train `steps` steps with one and with several workers, for each framework; compare.

    Raises:
        UsageError: recipe, data or resources do not fit.
        WorkerError: a worker failed.
    """
    return training.prove(source, options, steps, logs, screen)


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
    with training.new(source, options, root, screen) as job:
        run = job.run

        def export_in(name: str, group: WorkerGroup) -> None:
            export_stage(run, targets, [name], lambda _: group)

        job.train(export_in)
        screen.trained(run)
        screen.exports(run.exports)
        with ChildProcesses() as children:
            checks = verify_stage(run, children, _tensorflow_host(job.session, children))
    return run, checks


def _tensorflow_host(opened: Session, children: Host) -> Host:
    """The TensorFlow workers where they still run, otherwise child processes."""
    supervisor = opened.supervisors.get("tf")
    return supervisor.group if supervisor is not None and opened.side_by_side else children
