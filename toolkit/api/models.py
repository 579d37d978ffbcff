"""Files made of models, and what is known about them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from toolkit import pipeline
from toolkit.api.given import (
    Form,
    Framework,
    Given,
    Place,
    Samples,
    file_of,
    path_of,
    request_of,
)
from toolkit.api.training import find
from toolkit.artifacts import Check, Export
from toolkit.assembly import frameworks_of
from toolkit.bench.measure import BenchRow
from toolkit.inspection.report import Inspection
from toolkit.ladder import Rung
from toolkit.runs import Run
from toolkit.verify.pair import PairResult


def adopt(model: Place, *, runs: Place = "runs", **given: Unpack[Given]) -> Run:
    """Make a run of a model that was trained elsewhere; all later stages work on it.

    Args:
        model: .keras, .h5, .pt2, .onnx or .tflite file, a SavedModel's folder, or
            'module:function' that returns a torch module.
        runs: folder of all runs.
        **given: see `Given`.

    Raises:
        UsageError: the model, the samples or what is said about them do not fit.
    """
    known: dict[str, Any] = {**given}
    known.pop("samples", None)
    for name in ("weights", "labels", "preprocessing", "postprocessing"):
        known[name] = path_of(known.get(name))
    with file_of(given.get("samples")) as samples:
        about = pipeline.Adoption(str(model), samples=samples, **known)
        return pipeline.adopt(about, Path(runs))


def export(
    run: Run | Place | None = None,
    *,
    targets: Sequence[str] = (),
    precisions: Sequence[str] = ("fp32",),
    framework: Framework | None = None,
    runs: Place = "runs",
    **form: Unpack[Form],
) -> list[Export]:
    """Export a run's models.

    Args:
        run: without it the latest.
        targets: 'tflite', 'onnx', 'savedmodel', 'pt2', 'torchserve', 'micro'; without any,
            tflite and onnx where the model has them.
        precisions: 'fp32', 'fp16', 'dynamic', 'int8', 'int8-float', '16x8', or 'all'.
        framework: without it all of the run.
        runs: folder of all runs.
        **form: see `Form`.

    Raises:
        UsageError: the run has not been trained with the framework, or has no such target.
        DataError: static quantisation lacks samples.
        ConversionError: a conversion failed.
    """
    found = find(run, runs=runs)
    chosen = frameworks_of(found, framework)
    return pipeline.export(found, request_of(chosen, targets, precisions, form), chosen)


def best(
    run: Run | Place | None = None,
    *,
    targets: Sequence[str] = (),
    framework: Framework | None = None,
    max_drop: float | None = None,
    min_agreement: float | None = None,
    runs: Place = "runs",
    **form: Unpack[Form],
) -> list[Rung]:
    """Export the smallest precision that passes verification, for each model and target.

    Raises:
        CheckError: not even fp32 passes.
    """
    found = find(run, runs=runs)
    chosen = frameworks_of(found, framework)
    limits = pipeline.Limits(min_agreement, max_drop)
    return pipeline.best(found, request_of(chosen, targets, ("all",), form), chosen, limits)


def verify(
    run: Run | Place | None = None,
    *,
    max_drop: float | None = None,
    min_agreement: float | None = None,
    runs: Place = "runs",
) -> list[Check]:
    """Check every exported file of a run in every runtime that can read it.

    A check that failed is returned, not raised: look at `passed`, `reason` and `blame`.

    Args:
        run: without it the latest.
        max_drop: greatest loss of the task's metric; without it the precision's own.
        min_agreement: least share of unchanged decisions, 0 to 1; without it the precision's own.
        runs: folder of all runs.
    """
    return pipeline.verify(find(run, runs=runs), pipeline.Limits(min_agreement, max_drop))


def compare(
    a: Place, b: Place, *, samples: Samples | None = None, min_agreement: float | None = None
) -> PairResult:
    """Ask two model files of any formats the same, and compare what they answer.

    Raises:
        UsageError: one cannot be read, or their names do not match.
    """
    with file_of(samples) as file:
        limits = pipeline.Limits(min_agreement)
        return pipeline.verify_pair((str(a), str(b)), file, limits)


def inspect(file: Place) -> Inspection:
    """What is inside a .tflite or .onnx file: manifest, operators, work, memory.

    Raises:
        UsageError: it is no such file, or damaged.
    """
    return pipeline.inspect(Path(file))


def bench(
    run: Run | Place | None = None,
    *,
    threads: int = 1,
    batch: int = 1,
    seconds: float = 2.0,
    runs: Place = "runs",
) -> list[BenchRow]:
    """Measure size, latency, memory and quality of a run's .tflite and .onnx files here.

    Raises:
        NotFoundError: nothing was exported yet.
    """
    return pipeline.bench(find(run, runs=runs), threads, batch, seconds)


def bench_files(
    *files: Place, threads: int = 1, batch: int = 1, seconds: float = 2.0
) -> list[BenchRow]:
    """Measure .tflite and .onnx files from anywhere."""
    return pipeline.bench_files([Path(file) for file in files], threads, batch, seconds)
