"""The verification stage: every exported file of a run, in every runtime that can read it.

ONNX files run in onnxruntime. TFLite files run in LiteRT and, converted by tf2onnx, in onnxruntime
too: two runtimes that agree against the trained model blame the exporter, two that differ blame a
runtime.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from toolkit.artifacts import Check, Export, Run
from toolkit.data.load import preprocess, probe_inputs
from toolkit.errors import CheckError, NotFoundError, ToolkitError
from toolkit.files import write_json
from toolkit.hosts import Host
from toolkit.verify.check import Answer, Question, check
from toolkit.verify.compare import refuse_vacuous
from toolkit.verify.tflite_onnx import tflite_to_onnx

_VIA = " via tf2onnx"


def verify(run: Run, children: Host, tensorflow: Host) -> list[Check]:
    """Check all exported files of a run and write verification.json.

    Args:
        run: a run with exported files.
        children: where files are run, each in a fresh process.
        tensorflow: where TFLite files are converted for onnxruntime.

    Raises:
        NotFoundError: nothing was exported yet.
        CheckError: the golden vectors prove nothing.
    """
    exports = run.exports
    if not exports:
        raise NotFoundError(f"run {run.name} has no exported files; export first: toolkit export")
    questions = {framework: _question(run, framework) for framework in run.frameworks}
    pending: list[tuple[Export, str, Future[Any]]] = []
    for export in exports:
        question = questions[export.framework]
        for runtime, future in _start(run, export, question, children, tensorflow).items():
            pending.append((export, runtime, future))
    checks = [_check(export, runtime, future) for export, runtime, future in pending]
    passed = all(check.passed for check in checks)
    write_json(
        run.path / "verification.json",
        {"run": run.name, "passed": passed, "checks": [asdict(check) for check in checks]},
    )
    return checks


def _start(
    run: Run, export: Export, question: Question, children: Host, tensorflow: Host
) -> dict[str, "Future[Any]"]:
    """Start the checks of one file; futures by runtime."""
    name = Path(export.file).name

    def start(content: bytes, via: str = "") -> "Future[Any]":
        log = run.log(f"verify-{name}{via}")
        return children.submit(check, content, export, question, log=log)

    runtimes = ["LiteRT", f"onnxruntime{_VIA}"] if export.target == "tflite" else ["onnxruntime"]
    try:
        content = _unchanged(run, export)
    except ToolkitError as error:
        return {runtime: _failed(error) for runtime in runtimes}
    if export.target != "tflite":
        return {runtimes[0]: start(content)}
    log = run.log(f"verify-{name}-conversion")
    converted = tensorflow.submit(tflite_to_onnx, content, log=log)
    via_onnx = _then(converted, lambda onnx: start(onnx, "-tf2onnx"))
    return {runtimes[0]: start(content), runtimes[1]: via_onnx}


def _failed(error: Exception) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _then(first: "Future[Any]", start: Callable[[bytes], "Future[Any]"]) -> "Future[Any]":
    """Chain: when `first` has a value, start the second with it."""
    result: Future[Any] = Future()

    def pass_on(done: "Future[Any]") -> None:
        try:
            result.set_result(done.result())
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            result.set_exception(error)

    def begin(done: "Future[Any]") -> None:
        try:
            start(done.result()).add_done_callback(pass_on)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            result.set_exception(error)

    first.add_done_callback(begin)
    return result


def _unchanged(run: Run, export: Export) -> bytes:
    """The file's content.

    Raises:
        ToolkitError: it differs from what was exported; runtimes do not notice damaged weights.
    """
    content = run.read(export.file)
    if hashlib.sha256(content).hexdigest() != export.sha256:
        raise ToolkitError("the file was changed or damaged after export (SHA-256 differs)")
    return content


def _question(run: Run, framework: str) -> Question:
    recipe, golden = run.source.load(), run.golden(framework)
    vacuous = refuse_vacuous(golden.outputs)
    if vacuous:
        raise CheckError(
            f"run {run.name}, {framework}: {vacuous}; such a reference proves nothing. "
            "Check the model and its training"
        )
    probe = recipe.probe
    asked = preprocess(recipe, probe_inputs(recipe, golden.inputs)) if probe else None
    return Question(
        inputs=preprocess(recipe, golden.inputs),
        golden=golden,
        probe=asked,
        expected=float(probe.expected) if probe else 0.0,
        probe_tolerance=float(probe.tolerance) if probe else 0.0,
        decision=recipe.decides_by,
        tolerance=recipe.tolerance,
    )


def _check(export: Export, runtime: str, future: "Future[Any]") -> Check:
    try:
        answer: Answer = future.result()
    except (ToolkitError, EdgeError) as error:
        answer = Answer(runtime, None, None, None, str(error))
    name = answer.runtime or runtime
    via = _VIA if runtime.endswith(_VIA) and not name.endswith(_VIA) else ""
    return Check(
        file=export.file,
        framework=export.framework,
        target=export.target,
        runtime=name + via,
        probe=answer.probe,
        error=answer.error,
        kept=answer.kept,
        passed=not answer.reason,
        reason=answer.reason,
    )
