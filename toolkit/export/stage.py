"""The export stage: each model is converted once a target, and quantised from there.

The float file is made in a process of the model's framework; files of other precisions are made
from it, in processes that need no framework, side by side within the cores.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from toolkit.artifacts import Export, files_hash, title_of
from toolkit.data.evidence import Calibration
from toolkit.data.load import preprocess
from toolkit.errors import ConversionError, ToolkitError
from toolkit.export.convert import convert
from toolkit.export.job import ExportJob
from toolkit.export.manifests import manifest_of, permutation_of
from toolkit.export.request import STATIC, Request
from toolkit.hosts import Host, then
from toolkit.models.source import ModelSource
from toolkit.recipe import Array
from toolkit.runs import Run

_VERSION = "1"
_WARM = 4  # golden samples that a server is warmed up with

Cell = tuple[str, str]
"""Framework and target."""


@dataclass(frozen=True)
class Base:
    """A model converted to a target in fp32.

    Attributes:
        files: content by relative name; a single file's name is ''.
        batch: the fixed batch size, or None.
        note: what a user should know about the conversion, or ''.
        seconds: that it took.
    """

    files: Mapping[str, bytes]
    batch: int | None
    note: str
    seconds: float


@dataclass(frozen=True)
class Exporter:
    """What the conversions of a run share.

    Attributes:
        run: whose models are converted.
        request: which files to make.
        models: by framework.
        host_of: where a framework's models are converted.
        children: where files are quantised.
    """

    run: Run
    request: Request
    models: Mapping[str, ModelSource]
    host_of: Callable[[str], Host]
    children: Host

    def convert(self) -> dict[Cell, "Future[Any]"]:
        """Start all conversions to fp32; futures of `Base`.

        Raises:
            ConversionError: a model cannot be described.
        """
        return {cell: self._start(*cell) for cell in self.request.cells(list(self.models))}

    def quantise(
        self, cell: Cell, base: "Future[Any]", precision: str, calibration: Calibration | None
    ) -> "Future[Any]":
        """Start a file of another precision; a future of `Base`."""
        if precision == "fp32":
            return self._program(cell, base)
        log = self.run.log(f"export-{'-'.join(cell)}-{precision}")
        samples = None
        if calibration and precision in STATIC:
            axes = permutation_of(self.run, cell[0], self.request.layout)
            samples = replace(calibration, inputs=_turned(calibration.inputs, axes))
        io, target = self.request.io if precision in STATIC else "float", cell[1]
        if target == "micro":  # sensors and actuators have no use for floats
            io, target = "int8", "tflite"
        arguments = (target, precision, samples, io)
        quantised = then(
            base, lambda done: self.children.submit(_timed_quantise, done, *arguments, log=log)
        )
        return self._program(cell, quantised)

    def _program(self, cell: Cell, base: "Future[Any]") -> "Future[Any]":
        """For target 'micro', the program that is made of a .tflite file."""
        framework, target = cell
        if target != "micro":
            return base
        card, log = self.run.card, self.run.log(f"export-{framework}-micro-program")
        inputs = preprocess(card, self.run.golden(framework).inputs)
        return then(
            base,
            lambda done: self.children.submit(_timed_program, done, card.name, inputs, log=log),
        )

    def finish(
        self, cell: Cell, precision: str, future: "Future[Any]", calibration: Calibration | None
    ) -> Export:
        """Wait for a file, write it, and describe it.

        Raises:
            ConversionError: it could not be made.
        """
        framework, target = cell
        try:
            base: Base = future.result()
        except ToolkitError as error:
            raise self._failure(cell, precision, error) from error
        name = self.request.file_name(self.run.card.name, framework, target, precision)
        files = base.files
        if target == "savedmodel":  # TensorFlow Serving watches a folder of versions
            files = {f"{_VERSION}/{file}": content for file, content in files.items()}
        self.run.replace(f"exports/{name}", files)
        return Export(
            file=f"exports/{name}",
            framework=framework,
            target=target,
            precision=precision,
            batch=base.batch,
            bytes=sum(map(len, files.values())),
            sha256=files_hash(files),
            seconds=round(base.seconds, 3),
            note=base.note,
            calibration=calibration.sha256 if calibration and precision in STATIC else "",
        )

    def _start(self, framework: str, target: str) -> "Future[Any]":
        model = self.models[framework]
        if model.kind in ("onnx", "tflite"):
            done: Future[Any] = Future()
            done.set_result(Base({"": model.content}, None, "", 0.0))
            return done
        run, request = self.run, self.request
        micro = target == "micro"
        target, batch = ("tflite", 1) if micro else (target, request.batch)
        job = ExportJob(
            model=model,
            target=target,
            manifest=manifest_of(run, framework, target, request, batch),
            opset=request.opset,
            batch=batch,
            permute=permutation_of(run, framework, request.layout),
            samples=self._samples(framework) if target == "savedmodel" else {},
        )
        log = run.log(f"export-{framework}-{'micro' if micro else target}")
        return self.host_of(framework).submit(_timed_convert, job, log=log)

    def _samples(self, framework: str) -> dict[str, Array]:
        """A few golden inputs as the file takes them."""
        run = self.run
        head = {name: array[:_WARM] for name, array in run.golden(framework).inputs.items()}
        axes = permutation_of(run, framework, self.request.layout)
        return _turned(preprocess(run.card, head), axes)

    def _failure(self, cell: Cell, precision: str, error: ToolkitError) -> ToolkitError:
        framework, target = cell
        part = "" if precision == "fp32" else f"-{precision}"
        log = self.run.log(f"export-{framework}-{target}{part}")
        place = f"\nthe converter's output is in {log}" if log.exists() else ""
        title = title_of(framework)
        wanted = target if precision == "fp32" else f"{target} {precision}"
        message = f"{title} model of {self.run.card.name!r} to {wanted} failed: {error}{place}"
        kind = type(error) if error.exit_code == 2 else ConversionError
        return kind(message, detail=error.detail)


def export(exporter: Exporter, calibration: Calibration | None = None) -> list[Export]:
    """Make all files of a request and record them in the run.

    Args:
        exporter: says what, and where.
        calibration: samples for static precisions, or None where none is wanted.

    Raises:
        ConversionError: names the model, target and precision; the others are still written.
    """
    pending = [
        (cell, precision, exporter.quantise(cell, base, precision, calibration))
        for cell, base in exporter.convert().items()
        for precision in exporter.request.precisions_of(cell[1])
    ]
    exports, failures = [], []
    for cell, precision, future in pending:
        try:
            exports.append(exporter.finish(cell, precision, future, calibration))
        except ToolkitError as error:
            failures.append(error)
    exporter.run.add_exports(exports)
    if failures:
        raise failures[0]
    return exports


def _turned(inputs: Mapping[str, Array], axes: Mapping[str, Sequence[int]]) -> dict[str, Array]:
    """Samples in the layout that the file takes."""
    return {
        name: array.transpose(0, *(axis + 1 for axis in axes[name])) if name in axes else array
        for name, array in inputs.items()
    }


def _timed_convert(job: ExportJob) -> Base:
    started = time.perf_counter()
    done = convert(job)
    return Base(done.files, done.batch, done.note, time.perf_counter() - started)


def _timed_quantise(
    base: Base, target: str, precision: str, samples: Calibration | None, io: str
) -> Base:
    from toolkit.export.names import with_facts
    from toolkit.export.quantise import quantise

    started = time.perf_counter()
    inputs = None if samples is None else samples.inputs
    content = quantise(base.files[""], target, precision, inputs, io)
    if samples is not None:
        content = with_facts(content, {"calibration_sha256": samples.sha256})
    return Base({"": content}, base.batch, base.note, time.perf_counter() - started)


def _timed_program(base: Base, name: str, inputs: Mapping[str, Any]) -> Base:
    from toolkit.export.micro_stage import program

    started = time.perf_counter()
    files, note = program(base.files[""], name, inputs)
    return Base(files, base.batch, note, base.seconds + time.perf_counter() - started)
