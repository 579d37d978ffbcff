"""Every stage in order. A newcomer starts here.

    recipe -> data -> train -> export -> verify -> bench | bundle | serve | report

Each stage can be used alone: it takes a run directory and adds to it. A model that was trained
elsewhere gets one by `adopt`. `run_all` does them in one go and exports in the workers that
trained, which have the framework loaded already. What comes after `verify` is in delivery.py, what
stages are given in assembly.py.
"""

import contextlib
import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path

from toolkit import ladder
from toolkit.artifacts import Check, Export
from toolkit.assembly import (
    Job,
    Limits,
    calibration_of,
    calibration_or_why,
    models_for,
    verifier_of,
)
from toolkit.console import Screen
from toolkit.delivery import (
    bench,
    bench_files,
    bench_files_of,
    bundle,
    bundle_path,
    report,
    serve_sources,
)
from toolkit.export.request import Request
from toolkit.export.stage import Exporter
from toolkit.export.stage import export as export_stage
from toolkit.hosts import ChildProcesses, Host
from toolkit.inspection import viewer
from toolkit.inspection.inspect import inspect_file
from toolkit.inspection.report import Inspection
from toolkit.models.adopt import models_of
from toolkit.models.adoption import Adoption
from toolkit.models.samples import read_samples
from toolkit.models.source import read
from toolkit.report.markdown import as_markdown
from toolkit.runs import Run
from toolkit.source import RecipeSource
from toolkit.train import training
from toolkit.train.events import EventWriter
from toolkit.train.group import WorkerGroup
from toolkit.train.prove import Proof
from toolkit.train.session import Options, Session
from toolkit.verify.pair import PairResult, compare_pair

__all__ = [
    "Adoption", "Job", "Limits",
    "bench", "bench_files", "bench_files_of", "bundle", "bundle_path", "report", "serve_sources",
]  # fmt: skip


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
    calibration = calibration_of(run) if request.static else None
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
    calibration = calibration_or_why(run)
    with ChildProcesses() as children:
        exporter = Exporter(run, request, models, lambda _: children, children)
        verifier = verifier_of(run, limits, children, children)
        return ladder.climb(exporter, calibration, verifier.check)


def verify(run: Run, limits: Limits) -> list[Check]:
    """Check every exported file of a run in every runtime that can read it."""
    with ChildProcesses() as children:
        checks = verifier_of(run, limits, children, children).verify()
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
        ToolkitError: as `train`, `export` or `best`, and `verify` do; what can be told of the
            data is told before the training begins.
    """
    request = job.request
    request.check(job.options.frameworks)
    with (
        training.new(job.source, job.options, root, screen, job.check) as trained,
        ChildProcesses() as children,
    ):
        run, host_of = trained.run, functools.partial(_host, trained.session, children)

        def export_in(name: str, group: WorkerGroup) -> None:
            models = {name: models_of(run)[name]}
            exporter = Exporter(run, request, models, lambda _: group, children)
            export_stage(exporter, calibration_of(run) if request.static else None)

        trained.train(None if job.best else export_in)
        screen.trained(run)
        if not job.best:
            screen.exports(run.exports)
        verifier = verifier_of(run, job.limits, children, host_of("tf"))
        if job.best:
            exporter = Exporter(run, request, models_of(run), host_of, children)
            screen.rungs(ladder.climb(exporter, calibration_or_why(run), verifier.check))
        checks = verifier.verify()
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


def _host(opened: Session, children: Host, framework: str) -> Host:
    """A framework's workers where they still run, otherwise child processes."""
    supervisor = opened.supervisors.get(framework)
    return supervisor.group if supervisor is not None and opened.side_by_side else children
