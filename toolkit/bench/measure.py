"""One model file measured: call it in a fresh child process, or its memory tells nothing."""

import contextlib
import importlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge import bench as edge_bench
from edge.decision import decide
from edge.errors import BrokenRuntimeError, EdgeError, InputError
from edge.manifest_tflite import is_tflite
from edge.model import Model
from edge.runtime import load
from toolkit.bench.memory import watch
from toolkit.data.metrics import scores
from toolkit.errors import ToolkitError, UsageError
from toolkit.recipe import Array

_CHUNK = 256  # samples at a time, so that evaluation needs little memory


@dataclass(frozen=True)
class BenchQuestion:
    """How files are measured, and by what they are judged.

    Attributes:
        inputs: preprocessed samples by input name, each [n, ...]; without them latency is measured
            on random numbers, and nothing is judged.
        targets: what the data say, [n, ...], or None.
        reference: outputs of the trained model for the inputs by name, each [n, ...]; or empty.
        metric: one of `toolkit.recipe_checks.METRICS`, or ''.
        decision: 'argmax', 'sign' or 'value', about the first output.
        tolerance: for 'value': distance that leaves an answer unchanged.
        batch: samples a run; a file of a fixed batch runs the next multiple of it.
        threads: of the runtime.
        seconds: limit of the latency measurement.
    """

    inputs: Mapping[str, Array] = field(default_factory=dict)
    targets: Array | None = None
    reference: Mapping[str, Array] = field(default_factory=dict)
    metric: str = ""
    decision: str = "value"
    tolerance: float = 0.0
    batch: int = 1
    threads: int = 1
    seconds: float = 2.0

    def __post_init__(self) -> None:
        for name in ("batch", "threads", "seconds"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be above 0")
        if len({len(array) for array in self.inputs.values()}) > 1:
            raise UsageError("the inputs differ in their number of samples")


@dataclass(frozen=True)
class BenchRow:
    """What one file costs, and how good it is; None where that was not measured.

    Attributes:
        runtime: such as 'onnxruntime 1.32.0', or '' where it could not be opened.
        load_ms: from a path to a model that is ready, the runtime being imported already.
        batch: samples a run.
        runs: how many the latency is of.
        stable: whether the median had settled; if not, the time limit ended the measurement.
        p50_us: microseconds that half of the runs did not exceed.
        p90_us: likewise 90 %.
        p99_us: likewise 99 %.
        samples_per_s: throughput at this batch, from the mean.
        memory_bytes: growth of resident memory at its peak, runtime included, evaluation not.
        metric: name of the metric, or ''.
        score: the metric's value over `samples` samples.
        agreement: share of samples that are decided as the trained model does, 0 to 1.
        reason: why the file could not be measured, or ''.
    """

    file: str
    bytes: int
    threads: int
    runtime: str = ""
    load_ms: float | None = None
    batch: int | None = None
    runs: int | None = None
    stable: bool | None = None
    p50_us: float | None = None
    p90_us: float | None = None
    p99_us: float | None = None
    samples_per_s: float | None = None
    memory_bytes: int | None = None
    metric: str = ""
    score: float | None = None
    agreement: float | None = None
    samples: int = 0
    reason: str = ""


def bench_file(content: bytes, name: str, question: BenchQuestion) -> BenchRow:
    """Load, time and judge one .tflite or .onnx file in this process.

    Raises:
        UsageError: the file is no model, or the question's inputs do not fit it.
        ToolkitError: the runtime is missing, or failed while it ran the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(content)
        try:
            return _bench(path, content, name, question)
        except (EdgeError, ValueError) as error:
            # ValueError: targets or reference of another shape than the outputs
            kind = ToolkitError if isinstance(error, BrokenRuntimeError) else UsageError
            text = str(error).replace(f"{path}: ", "").replace(str(path), name)
            raise kind(f"{name}: {text}") from error


def _bench(path: Path, content: bytes, name: str, question: BenchQuestion) -> BenchRow:
    with watch() as growth:
        with contextlib.suppress(ImportError, OSError):  # load() says what is missing
            runtime = "ai_edge_litert.interpreter" if is_tflite(content) else "onnxruntime"
            importlib.import_module(runtime)
        start = time.perf_counter()
        model = load(path, threads=question.threads)
        load_ms = (time.perf_counter() - start) * 1e3
        batch = _batch(model, question)
        latency = edge_bench.measure(model, batch, question.seconds)
    score, agreement = _judge(model, question)
    judged = score is not None or agreement is not None
    return BenchRow(
        file=name,
        bytes=len(content),
        threads=question.threads,
        runtime=model.runtime,
        load_ms=load_ms,
        batch=latency.samples,
        runs=latency.runs,
        stable=latency.stable,
        p50_us=latency.p50_us,
        p90_us=latency.p90_us,
        p99_us=latency.p99_us,
        samples_per_s=latency.samples_per_s,
        memory_bytes=growth.bytes,
        metric=question.metric if score is not None else "",
        score=score,
        agreement=agreement,
        samples=_count(question) if judged else 0,
    )


def _count(question: BenchQuestion) -> int:
    return len(next(iter(question.inputs.values()), ()))


def _fixed(model: Model) -> int:
    """The batch that the file fixes, or 1."""
    return next((t.shape[0] for t in model.inputs if t.shape and t.shape[0] is not None), 1)


def _batch(model: Model, question: BenchQuestion) -> dict[str, Array]:
    """Inputs of one run: the first samples, repeated where there are too few, or random ones."""
    fixed = _fixed(model)
    size = -(-question.batch // fixed) * fixed
    if question.inputs:
        rows = np.arange(size) % _count(question)
        return {name: array[rows] for name, array in question.inputs.items()}
    random = np.random.default_rng(0)
    arrays: dict[str, Array] = {}
    for tensor in model.inputs:
        shape = [each or 1 for each in tensor.shape]
        if tensor.shape:
            shape[0] = size
        if np.dtype(tensor.dtype).kind == "f":
            arrays[tensor.name] = random.standard_normal(shape).astype(tensor.dtype)
        else:  # 0 is a valid index of any table
            arrays[tensor.name] = np.zeros(shape, tensor.dtype)
    return arrays


def _judge(model: Model, question: BenchQuestion) -> tuple[float | None, float | None]:
    """The metric and the agreement of the first output, each None where there is nothing for it."""
    wants_score = bool(question.metric) and question.targets is not None
    if not question.inputs or not (wants_score or question.reference):
        return None, None
    first = model.outputs[0].name
    outputs = _first_outputs(model, question.inputs, first)
    score = agreement = None
    if wants_score and question.targets is not None:
        of_each = scores(question.metric, outputs, question.targets, question.decision)
        score = float(of_each.mean())
    if question.reference:
        if first not in question.reference:
            known = ", ".join(question.reference)
            raise InputError(f"the reference has no output {first!r}, only {known}")
        agreement = _agreement(outputs, question.reference[first], question)
    return score, agreement


def _first_outputs(model: Model, inputs: Mapping[str, Array], first: str) -> Array:
    """The first output for all samples, [n, ...]; a last batch that is too small is filled up."""
    fixed, count = _fixed(model), len(next(iter(inputs.values())))
    size = max(fixed, _CHUNK // fixed * fixed)
    parts = []
    for start in range(0, count, size):
        real = min(size, count - start)
        rows = start + np.arange(-(-real // fixed) * fixed) % real
        outputs = model.predict({name: array[rows] for name, array in inputs.items()})
        parts.append(outputs[first][:real])
    return np.concatenate(parts)


def _agreement(outputs: Array, reference: Array, question: BenchQuestion) -> float:
    """Share of samples with the reference's decision; for 'value' within the tolerance of it."""
    wanted = np.asarray(decide(reference, question.decision))
    if question.decision != "value":
        return float(scores("accuracy", outputs, wanted, question.decision).mean())
    distance = np.abs(decide(outputs, "value").astype(np.float64) - wanted.astype(np.float64))
    return float((distance.reshape(len(distance), -1) <= question.tolerance).all(axis=1).mean())
