"""Every stage in order. A newcomer starts here.

    recipe -> data -> train -> export -> verify -> bench | bundle | serve | report

Each stage can be used alone: it takes a run directory and adds to it. A model that was trained
elsewhere gets one by `adopt`. `run_all` does them in one go and exports in the workers that
trained, which have the framework loaded already. What comes after `verify` is in delivery.py.
"""

import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit import ladder
from toolkit.artifacts import Check, Export
from toolkit.console import Screen
from toolkit.data.evidence import Calibration, calibrate, evidence_of
from toolkit.delivery import (
    bench,
    bench_files,
    bench_files_of,
    bundle,
    bundle_path,
    report,
    serve_sources,
)
from toolkit.errors import DataError, ToolkitError, UsageError
from toolkit.export.request import STATIC, Request
from toolkit.export.stage import Exporter
from toolkit.export.stage import export as export_stage
from toolkit.hosts import ChildProcesses, Host
from toolkit.inspection import viewer
from toolkit.inspection.inspect import inspect_file
from toolkit.inspection.report import Inspection
from toolkit.models.adopt import models_of
from toolkit.models.adoption import Adoption
from toolkit.models.predict import predict
from toolkit.models.samples import read_samples
from toolkit.models.source import ModelSource, read
from toolkit.recipe import TITLES
from toolkit.report.markdown import as_markdown
from toolkit.runs import Run
from toolkit.source import RecipeSource
from toolkit.train import training
from toolkit.train.events import EventWriter
from toolkit.train.group import WorkerGroup
from toolkit.train.prove import Proof
from toolkit.train.session import Options, Session
from toolkit.verify.check import Evaluation
from toolkit.verify.pair import PairResult, compare_pair
from toolkit.verify.stage import Verifier

__all__ = [
    "Adoption", "Job", "Limits",
    "bench", "bench_files", "bench_files_of", "bundle", "bundle_path", "report", "serve_sources",
]  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """How good an exported file must be; None takes the precision's own limit.

    Attributes:
        min_agreement: least share of unchanged decisions, 0 to 1.
        max_drop: greatest loss of the task's metric.
    """

    min_agreement: float | None = None
    max_drop: float | None = None


@dataclass(frozen=True)
class Job:
    """All that `run_all` does.

    Attributes:
        source: the recipe.
        options: how to train it.
        request: which files to export.
        limits: how good they must be.
    """

    source: RecipeSource
    options: Options
    request: Request
    limits: Limits = Limits()


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


def adopt(adoption: Adoption, root: Path) -> Run:
    """Make a run directory for a model that was trained elsewhere.

    Raises:
        UsageError: the model, the samples or what is said about them do not fit.
    """
    with ChildProcesses() as children, tempfile.TemporaryDirectory() as logs:
        return adoption.carry_out(root, children, Path(logs))


def export(run: Run, request: Request, frameworks: Sequence[str]) -> list[Export]:
    """Export a run's models, each conversion in a child process.

    Raises:
        UsageError: the run has not been trained with one of `frameworks`, or has no such target.
        DataError: static quantisation lacks samples.
        ConversionError: a conversion failed.
    """
    request.check(frameworks)
    models = models_for(run, frameworks)
    calibration = calibration_of(run) if set(request.precisions) & set(STATIC) else None
    with ChildProcesses() as children:
        exporter = Exporter(run, request, models, lambda _: children, children)
        return export_stage(exporter, calibration)


def best(
    run: Run, request: Request, frameworks: Sequence[str], limits: Limits
) -> list[ladder.Rung]:
    """Export the smallest precision that passes verification, for each model and target.

    Raises:
        CheckError: not even fp32 passes.
    """
    request.check(frameworks)
    models = models_for(run, frameworks)
    try:
        calibration: Calibration | ToolkitError = calibration_of(run)
    except DataError as error:
        calibration = error
    with ChildProcesses() as children:
        exporter = Exporter(run, request, models, lambda _: children, children)
        verifier = _verifier(run, limits, children, children)
        return ladder.climb(exporter, calibration, verifier.check)


def verify(run: Run, limits: Limits) -> list[Check]:
    """Check every exported file of a run in every runtime that can read it."""
    with ChildProcesses() as children:
        checks = _verifier(run, limits, children, children).verify()
    _to_tensorboard(run, checks)
    return checks


def verify_pair(references: tuple[str, str], samples: Path | None, limits: Limits) -> PairResult:
    """Compare what two model files of any formats answer.

    Raises:
        UsageError: one cannot be read, or their names do not match.
    """
    one, other = (read(reference) for reference in references)
    inputs = None if samples is None else read_samples(samples, "input").inputs
    with ChildProcesses() as children, tempfile.TemporaryDirectory() as logs:
        return compare_pair(
            one, other, inputs, children, Path(logs), min_agreement=limits.min_agreement
        )


def inspect(path: Path) -> Inspection:
    """What is inside a model file.

    Raises:
        UsageError: it is no .tflite or .onnx file, or damaged.
    """
    with ChildProcesses() as children, tempfile.TemporaryDirectory() as logs:
        content, log = read(str(path)).content, Path(logs) / "inspect.log"
        found: Inspection = children.submit(inspect_file, content, path.name, log=log).result()
    return found


def show_graph(path: Path) -> None:
    """Draw a model file's graph in Netron or Model Explorer, until the user ends that.

    Raises:
        UsageError: neither is installed.
    """
    viewer.show(path)


def run_all(job: Job, root: Path, screen: Screen) -> tuple[Run, list[Check]]:
    """Train, export and verify in one go.

    Raises:
        ToolkitError: as `train`, `export` and `verify` do.
    """
    source, request = job.source, job.request
    request.check(job.options.frameworks)
    static = bool(set(request.precisions) & set(STATIC))
    with (
        training.new(source, job.options, root, screen) as trained,
        ChildProcesses() as children,
    ):
        run = trained.run

        def export_in(name: str, group: WorkerGroup) -> None:
            models = {name: models_of(run)[name]}
            exporter = Exporter(run, request, models, lambda _: group, children)
            export_stage(exporter, calibration_of(run) if static else None)

        trained.train(export_in)
        screen.trained(run)
        screen.exports(run.exports)
        tensorflow = _tensorflow_host(trained.session, children)
        checks = _verifier(run, job.limits, children, tensorflow).verify()
    _to_tensorboard(run, checks)
    return run, checks


def _to_tensorboard(run: Run, checks: Sequence[Check]) -> None:
    """Let TensorBoard compare the precisions, where it is installed."""
    folder = run.path / "tensorboard" / "verify"
    for old in folder.glob("events.out.tfevents.*.toolkit"):
        old.unlink(missing_ok=True)
    with contextlib.suppress(ImportError):
        events = EventWriter(folder)
        with contextlib.closing(events):
            events.text("precisions", as_markdown(checks))


def models_for(run: Run, frameworks: Sequence[str]) -> dict[str, ModelSource]:
    """A run's models of these frameworks.

    Raises:
        UsageError: it was not trained with one of them.
    """
    for framework in frameworks:
        if framework not in run.frameworks:
            trained = ", ".join(run.frameworks) or "nothing yet"
            raise UsageError(
                f"run {run.name} has no {TITLES[framework]} model (it trained {trained}); "
                f"train one: toolkit train {run.card.name} --framework {framework}"
            )
    models = models_of(run)
    return {framework: models[framework] for framework in frameworks}


def calibration_of(run: Run) -> Calibration:
    """Samples that static quantisation sees.

    Raises:
        DataError: the run has none.
    """
    return calibrate(evidence_of(run), run.card)


def _verifier(run: Run, limits: Limits, children: Host, tensorflow: Host) -> Verifier:
    return Verifier(
        run,
        children,
        tensorflow,
        min_agreement=limits.min_agreement,
        max_drop=limits.max_drop,
        evaluation=_evaluation(run, children),
    )


def _evaluation(run: Run, children: Host) -> dict[str, Evaluation | None]:
    """What the models answer on the whole validation split, where that is more than golden."""
    validation = evidence_of(run).validation
    found: dict[str, Evaluation | None] = {}
    for framework, model in models_of(run).items():
        whole = "recipe" in run.facts and len(run.golden(framework).targets) == len(
            validation or ()
        )
        if validation is None or whole:
            continue
        samples = validation.take(slice(None))
        log = run.log(f"evaluate-{framework}")
        outputs = children.submit(predict, model, samples.inputs, log=log).result()
        found[framework] = Evaluation(samples.inputs, outputs, samples.targets)
    return found


def _tensorflow_host(opened: Session, children: Host) -> Host:
    """The TensorFlow workers where they still run, otherwise child processes."""
    supervisor = opened.supervisors.get("tf")
    return supervisor.group if supervisor is not None and opened.side_by_side else children
