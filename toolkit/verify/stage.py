"""The verification stage: every exported file of a run, in every runtime that can read it.

ONNX files run in onnxruntime. TFLite files run in LiteRT and, in fp32, converted by tf2onnx in
onnxruntime too: two runtimes that agree against the trained model blame the exporter, two that
differ blame a runtime. SavedModels and programs of torch.export run in their framework.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from toolkit.artifacts import Check, Export, files_hash
from toolkit.data.load import preprocess, probe_inputs
from toolkit.errors import CheckError, NotFoundError, ToolkitError
from toolkit.files import write_json
from toolkit.hosts import Host, then
from toolkit.runs import Run
from toolkit.verify.blame import explain
from toolkit.verify.check import Answer, Evaluation, Question, check
from toolkit.verify.compare import refuse_vacuous
from toolkit.verify.gates import gate_for
from toolkit.verify.tflite_onnx import tflite_to_onnx

_VIA = " via tf2onnx"
_LEFT_OUT = "tf2onnx lacks an operator of the file"
_RUNTIMES = {
    "tflite": "LiteRT",
    "onnx": "onnxruntime",
    "savedmodel": "tf.saved_model",
    "pt2": "torch.export",
    "torchserve": "torch.export",
    "micro": "LiteRT",
}


@dataclass(frozen=True)
class _Pending:
    """A check that was started."""

    export: Export
    runtime: str
    future: "Future[Any]"
    intact: bool = True

    def left_out(self) -> bool:
        """Whether the second runtime cannot be asked, which is no fault of the file."""
        return self.future.exception() is None and self.future.result() is None


@dataclass(frozen=True)
class Verifier:
    """Checks exported files of a run.

    Attributes:
        run: whose files.
        children: where files are run, each in a fresh process.
        tensorflow: where TFLite files are converted for onnxruntime.
        min_agreement: least share of unchanged decisions, or None for the precision's own.
        max_drop: greatest loss of the metric, or None for the precision's own.
        evaluation: the whole validation split by framework; where there is none the golden
            vectors stand in, if their targets are known.
    """

    run: Run
    children: Host
    tensorflow: Host
    min_agreement: float | None = None
    max_drop: float | None = None
    evaluation: Mapping[str, Evaluation | None] | None = None

    def verify(self) -> list[Check]:
        """Check all files, look for what is to blame for failures, and write verification.json.

        Raises:
            NotFoundError: nothing was exported yet.
            CheckError: the golden vectors prove nothing.
        """
        exports = files_of(self.run)
        begun = time.perf_counter()
        started = self._start_all(exports)
        checks = [self._explained(pending) for pending in started if not pending.left_out()]
        passed = all(check.passed for check in checks)
        write_json(
            self.run.path / "verification.json",
            {
                "run": self.run.name,
                "passed": passed,
                "checks": [asdict(check) for check in checks],
                "left_out": [
                    {"file": each.export.file, "runtime": each.runtime, "why": _LEFT_OUT}
                    for each in started
                    if each.left_out()
                ],
                "seconds": round(time.perf_counter() - begun, 1),
            },
        )
        return checks

    def check(self, exports: Sequence[Export]) -> list[Check]:
        """Check these files only; write and explain nothing.

        Raises:
            CheckError: the golden vectors prove nothing.
        """
        started = self._start_all(exports)
        return [_finished(pending) for pending in started if not pending.left_out()]

    def _start_all(self, exports: Sequence[Export]) -> list[_Pending]:
        names = dict.fromkeys(export.framework for export in exports)
        questions = {name: self._question(name) for name in names}
        return [
            pending
            for export in exports
            for pending in self._start(export, questions[export.framework])
        ]

    def _start(self, export: Export, question: Question) -> Iterator[_Pending]:
        """Start the checks of one file, one a runtime."""
        gate = gate_for(export.precision, self.min_agreement, self.max_drop)
        name, runtime = Path(export.file).name, _RUNTIMES[export.target]
        others = runtimes_of(export.target, export.precision)[1:]

        def start(files: Mapping[str, bytes], via: str = "") -> "Future[Any]":
            log = self.run.log(f"verify-{name}{via}")
            asked = replace(export, target="onnx") if via else export
            return self.children.submit(check, files, asked, question, gate, log=log)

        try:
            files = _unchanged(self.run, export)
        except ToolkitError as error:
            for each in (runtime, *others):
                yield _Pending(export, each, _failed(error), intact=False)
            return
        yield _Pending(export, runtime, start(files))
        for other in others:
            log = self.run.log(f"verify-{name}-conversion")
            converted = self.tensorflow.submit(tflite_to_onnx, files[""], log=log)
            future = then(
                converted, lambda onnx: start({"": onnx}, "-tf2onnx") if onnx else _done(None)
            )
            yield _Pending(export, other, future)

    def _question(self, framework: str) -> Question:
        card, golden = self.run.card, self.run.golden(framework)
        vacuous = refuse_vacuous(golden.outputs)
        if vacuous:
            raise CheckError(
                f"run {self.run.name}, {framework}: {vacuous}; such a reference proves nothing. "
                "Check the model and its training"
            )
        inputs, trained_here = preprocess(card, golden.inputs), "recipe" in self.run.facts
        evaluation = (self.evaluation or {}).get(framework)
        if evaluation is None and trained_here:  # golden targets of other models mean nothing
            evaluation = Evaluation(inputs, golden.outputs, golden.targets)
        return Question(
            inputs=inputs,
            golden=golden,
            card=card,
            probe=preprocess(card, probe_inputs(card, golden.inputs)) if card.probe else None,
            tolerance=card.tolerance if trained_here else None,
            evaluation=evaluation,
        )

    def _explained(self, pending: _Pending) -> Check:
        found = _finished(pending)
        if found.passed or not pending.intact:
            return found
        try:
            text = explain(self.run, pending.export, found, self.children)
        except Exception:  # noqa: BLE001 - an explanation is welcome, and never a failure
            return found
        return replace(found, blame=text)


def files_of(run: Run) -> list[Export]:
    """What there is to verify.

    Raises:
        NotFoundError: nothing was exported yet.
    """
    if not run.exports:
        raise NotFoundError(f"run {run.name} has no exported files; export first: toolkit export")
    return run.exports


def runtimes_of(target: str, precision: str) -> list[str]:
    """Where files of a target and precision are run; the first is the target's own runtime."""
    second = target == "tflite" and precision == "fp32"
    return [_RUNTIMES[target], *([f"{_RUNTIMES['onnx']}{_VIA}"] if second else [])]


def _done(value: Any) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def _failed(error: Exception) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _unchanged(run: Run, export: Export) -> dict[str, bytes]:
    """The file's content, or a folder's.

    Raises:
        ToolkitError: it differs from what was exported; runtimes do not notice damaged weights.
    """
    files = run.files(export.file)
    if files_hash(files) != export.sha256:
        raise ToolkitError("the file was changed or damaged after export (SHA-256 differs)")
    return files


def _finished(pending: _Pending) -> Check:
    export, runtime = pending.export, pending.runtime
    try:
        answer: Answer = pending.future.result()
    except (ToolkitError, EdgeError) as error:
        answer = Answer(runtime, reason=str(error))
    name = answer.runtime or runtime
    via = _VIA if runtime.endswith(_VIA) and not name.endswith(_VIA) else ""
    found = Check(
        file=export.file,
        sha256=export.sha256,
        framework=export.framework,
        target=export.target,
        runtime=name + via,
        probe=answer.probe,
        error=None,
        kept=None,
        passed=not answer.reason,
        reason=answer.reason,
    )
    if (result := answer.result) is not None:
        found = replace(found, error=result.error, kept=result.kept, snr=result.snr)
    return found if answer.drop is None else replace(found, **asdict(answer.drop))
