"""The export stage: every wanted conversion of a run, each in a process of its framework."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from edge.errors import EdgeError
from edge.manifest import Manifest
from edge.tensor import Tensor
from toolkit.artifacts import MODEL_FILES, Export, Run
from toolkit.data.load import preprocess
from toolkit.errors import ConversionError, ToolkitError
from toolkit.export.job import DEFAULT_OPSET, ExportJob, convert
from toolkit.export.torch_tflite import BATCH
from toolkit.hosts import Host
from toolkit.recipe import TITLES

_FIXED = "takes one sample at a time: the converter has no dynamic batch"
_PACKAGES = {
    ("tf", "tflite"): ("tensorflow", "keras"),
    ("tf", "onnx"): ("tensorflow", "keras", "tf2onnx"),
    ("torch", "tflite"): ("torch", "litert-torch"),
    ("torch", "onnx"): ("torch", "onnxscript"),
}


def export(
    run: Run,
    targets: Sequence[str],
    frameworks: Sequence[str],
    host_of: Callable[[str], Host],
    *,
    opset: int = DEFAULT_OPSET,
) -> list[Export]:
    """Convert the trained models of `frameworks` to `targets` and record the files in the run.

    Args:
        run: a trained run.
        targets: out of `toolkit.export.job.TARGETS`.
        frameworks: out of those that the run trained.
        host_of: gives the host on which to convert a framework's model.
        opset: ONNX operator set.

    Raises:
        ConversionError: names the model and the target; the other conversions are still written.
    """
    pending: list[tuple[ExportJob, Future[Any]]] = []
    for framework in frameworks:
        for target in targets:
            job = _job(run, framework, target, opset)
            log = run.log(f"export-{framework}-{target}")
            future = host_of(framework).submit(_timed_convert, job, log=log)
            pending.append((job, future))
    exports, failures = [], []
    for job, future in pending:
        try:
            content, seconds = future.result()
            exports.append(_write(run, job, content, seconds))
        except ToolkitError as error:
            failures.append(_failure(run, job, error))
    run.add_exports(exports)
    if failures:
        raise failures[0]
    return exports


def _timed_convert(job: ExportJob) -> tuple[bytes, float]:
    started = time.perf_counter()
    return convert(job), time.perf_counter() - started


def _job(run: Run, framework: str, target: str, opset: int) -> ExportJob:
    weights = run.read(f"{framework}/{MODEL_FILES[framework]}")
    try:
        manifest = _manifest(run, framework, target, opset)
    except EdgeError as error:
        raise ConversionError(f"{TITLES[framework]} model of run {run.name}: {error}") from error
    return ExportJob(run.source, framework, target, weights, manifest, opset)


def _manifest(run: Run, framework: str, target: str, opset: int) -> Manifest:
    """What the file takes and answers, from the recipe and the golden vectors."""
    recipe, golden = run.source.load(), run.golden(framework)
    head = {name: array[:1] for name, array in golden.inputs.items()}
    batch = BATCH if _is_fixed(framework, target) else None
    extra: dict[str, Any] = {
        "run": run.name,
        "recipe_sha256": run.source.sha256,
        "tools": _versions(framework, target),
    }
    if target == "onnx":
        extra["opset"] = opset
    return Manifest(
        name=recipe.name,
        framework=framework,
        target=target,
        precision="fp32",
        inputs=_tensors(preprocess(recipe, head), batch),
        outputs=_tensors(golden.outputs, batch),
        preprocessing={name: recipe.steps_for(name) for name in head},
        decision=recipe.decides_by,
        labels=recipe.labels,
        extra=extra,
    )


def _tensors(arrays: Mapping[str, Any], batch: int | None) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name, (batch, *array.shape[1:]), array.dtype.name) for name, array in arrays.items()
    )


def _is_fixed(framework: str, target: str) -> bool:
    return (framework, target) == ("torch", "tflite")


def _write(run: Run, job: ExportJob, content: bytes, seconds: float) -> Export:
    fixed = _is_fixed(job.framework, job.target)
    suffix = f"-opset{job.opset}.onnx" if job.target == "onnx" else ".tflite"
    name = f"{job.manifest.name}-{job.framework}-{job.manifest.precision}{suffix}"
    run.write(f"exports/{name}", content)
    return Export(
        file=f"exports/{name}",
        framework=job.framework,
        target=job.target,
        precision=job.manifest.precision,
        batch=BATCH if fixed else None,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        seconds=round(seconds, 3),
        note=_FIXED if fixed else "",
    )


def _failure(run: Run, job: ExportJob, error: ToolkitError) -> ConversionError:
    log = run.log(f"export-{job.framework}-{job.target}")
    return ConversionError(
        f"{TITLES[job.framework]} model of {job.manifest.name!r} to {job.target} failed: {error}\n"
        f"the converter's output is in {log}",
        detail=error.detail,
    )


def _versions(framework: str, target: str) -> dict[str, str]:
    from importlib import metadata  # slow to import, and not needed for --help

    try:
        return {name: metadata.version(name) for name in _PACKAGES[framework, target]}
    except metadata.PackageNotFoundError as error:
        raise ConversionError(
            f"{TITLES[framework]} to {target} needs {error.name}, which is not installed here; "
            "pip install 'edge-deployment-toolkit[export]'"
        ) from error
