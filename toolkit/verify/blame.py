"""Who is to blame for an exported file that failed its check: runtime, exporter or quantiser.

A failed file is run in a second runtime: two that differ blame a runtime. A quantised file is
compared tensor by tensor with its fp32 form. Where an fp32 file is wrong in both runtimes, the
layers of the trained model are looked for among the file's tensors. Decides nothing about passing.
"""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from toolkit.artifacts import Check, Export
from toolkit.data.load import preprocess
from toolkit.errors import ToolkitError
from toolkit.hosts import Host
from toolkit.models.adopt import models_of
from toolkit.recipe import Array
from toolkit.runs import Run
from toolkit.verify import layers_file
from toolkit.verify.distances import scaled_error
from toolkit.verify.gates import gate_for
from toolkit.verify.layers_file import Asked, Suspect
from toolkit.verify.layers_source import first_layer_lost
from toolkit.verify.tflite_onnx import tflite_to_onnx

_RIGHT = gate_for("fp32").error or 0.0
_ROUNDED = 0.1  # by how much of the range runtimes may differ that round integers differently
_VIA = "onnxruntime via tf2onnx"


def explain(run: Run, export: Export, check: Check, children: Host) -> str:
    """One or two sentences that say what is at fault, or '' where nothing can be said.

    Args:
        run: whose file it is.
        export: the file.
        check: that it failed.
        children: where files and models are run, each in a fresh process.
    """
    if check.passed or export.target not in ("tflite", "onnx"):
        return ""
    try:
        content = run.read(export.file)
        if hashlib.sha256(content).hexdigest() != export.sha256:
            return ""  # changed after export: the check says so
        case = _Case(run, export, content, _asked(run, export.framework), children)
        return _explain(case)
    except (ToolkitError, EdgeError):
        return ""


@dataclass(frozen=True)
class _Case:
    run: Run
    export: Export
    content: bytes
    asked: Asked
    children: Host

    def start(self, what: str, function: Callable[..., Any], *args: Any) -> "Future[Any]":
        log = self.run.log(f"blame-{Path(self.export.file).name}-{what}")
        return self.children.submit(function, *args, log=log)

    def error(self, outputs: Mapping[str, Array]) -> float:
        """Greatest scaled error of outputs against the trained model's."""
        count = len(next(iter(outputs.values())))
        return _distance(layers_file.chosen(self.asked.outputs, count), outputs)


def _asked(run: Run, framework: str) -> Asked:
    card, golden = run.card, run.golden(framework)
    steps = {name: len(card.steps_for(name)) for name in golden.inputs}
    return Asked(preprocess(card, golden.inputs), steps, golden.outputs)


def _explain(case: _Case) -> str:
    runtimes = _runtimes(case)
    if not runtimes:
        return ""
    by_runtime = _blame_runtime(case, runtimes)
    if by_runtime:
        return by_runtime
    if case.export.precision != "fp32":
        return _blame_quantiser(case, runtimes)
    return _blame_exporter(case, runtimes)


def _runtimes(case: _Case) -> dict[str, dict[str, Array]]:
    """Outputs by runtime, of the device's and of a second one; those that can run the file."""
    target = case.export.target
    own = case.start("runtime", layers_file.answers, case.content, target, case.asked)
    found: dict[str, dict[str, Array]] = {}
    try:
        runtime, outputs = own.result()
        found[runtime] = outputs
    except (ToolkitError, EdgeError):
        pass
    try:
        if target == "onnx":
            reference = layers_file.answers_by_reference
            other = case.start("reference", reference, case.content, case.asked)
            found["ONNX's reference evaluator"] = other.result()
        else:
            onnx = case.start("conversion", tflite_to_onnx, case.content).result()
            if onnx is not None:
                other = case.start("tf2onnx", layers_file.answers, onnx, "onnx", case.asked)
                found[_VIA] = other.result()[1]
    except (ToolkitError, EdgeError):
        pass
    return {runtime: outputs for runtime, outputs in found.items() if outputs}


def _blame_runtime(case: _Case, runtimes: Mapping[str, Mapping[str, Array]]) -> str:
    if len(runtimes) < 2:
        return ""
    (one, first), (other, second) = runtimes.items()
    errors = {one: case.error(first), other: case.error(second)}
    apart, least = _distance(first, second), min(errors.values())
    allowed = _RIGHT if case.export.precision == "fp32" else _ROUNDED
    if apart <= max(allowed, least / 4):
        return ""
    right, wrong = sorted(errors, key=lambda name: errors[name])
    if least <= allowed:
        return (
            f"Runtime: {right} answers like the trained model (error {errors[right]:.1e}), "
            f"{wrong} does not ({errors[wrong]:.1e})."
        )
    return (
        f"Runtime: {one} and {other} read the same file differently, by {apart:.1e} of the range; "
        f"{right} is nearer to the trained model ({errors[right]:.1e} against "
        f"{errors[wrong]:.1e})."
    )


def _blame_quantiser(case: _Case, runtimes: Mapping[str, Mapping[str, Array]]) -> str:
    export, error = case.export, case.error(next(iter(runtimes.values())))
    fp32 = _fp32(case.run, export)
    if fp32 is None:
        return (
            f"Quantiser or exporter: the run has no {export.framework} {export.target} file in "
            f"fp32, so only the {export.precision} file was looked at (error {error:.1e}); export "
            "fp32 too to tell them apart."
        )
    original = case.run.read(fp32.file)
    whole = case.start("fp32", layers_file.answers, original, export.target, case.asked)
    before = case.error(whole.result()[1])
    if before > _RIGHT:
        return (
            f"Exporter: the fp32 file is wrong already (error {before:.1e}), before any "
            f"quantisation; see {fp32.file}."
        )
    layers = case.start(
        "layers", layers_file.suspect, original, case.content, export.target, case.asked
    ).result()
    return f"Quantiser: the fp32 file is right (error {before:.1e}). {_in_words(layers)}"


def _in_words(found: Suspect) -> str:
    bad, worst = found.bad, found.worst
    if bad is not None:
        return (
            f"The first bad layer is {bad}: its values are off by {bad.error:.2g} of their spread, "
            f"what goes in by {bad.before:.2g}."
        )
    if worst is None:
        return "The two files have no tensors of the same name to compare."
    return (
        f"No layer stands out: rounding adds up to {worst.error:.2g} of the spread at most, at "
        f"{worst}."
    )


def _blame_exporter(case: _Case, runtimes: Mapping[str, Mapping[str, Array]]) -> str:
    error = case.error(next(iter(runtimes.values())))
    if error <= _RIGHT:
        return ""
    names = " and ".join(runtimes)
    agree = f"{names} agree" if len(runtimes) > 1 else f"{names}, the only one to run it, finds"
    return (
        f"Exporter: {agree} that the file is off by {error:.1e} of the range. {_lost_layer(case)}"
    ).rstrip()


def _lost_layer(case: _Case) -> str:
    """The sentence about the trained model's first layer that the file lacks, or ''."""
    export = case.export
    model = models_of(case.run)[export.framework]
    if model.framework not in ("tf", "torch") or model.kind in ("savedmodel", "pt2"):
        return ""
    arrays, feeds = case.start(
        "tensors", layers_file.arrays_and_feeds, case.content, export.target, case.asked
    ).result()
    found = case.start(
        f"layers-{export.framework}", first_layer_lost, model, feeds, arrays, _RIGHT
    ).result()
    if found is None:
        return ""
    name, kind, distance = found
    return (
        f"The first bad layer is {kind} {name!r}: its output is not in the file, whose nearest "
        f"tensor is off by {distance:.2g} of the range."
    )


def _fp32(run: Run, export: Export) -> Export | None:
    """The file that a quantised one was made from; of several, the one of the same name."""
    name = export.file.replace(f"-{export.precision}", "-fp32").replace("-int8io", "")
    same = [
        one
        for one in run.exports
        if (one.framework, one.target, one.precision) == (export.framework, export.target, "fp32")
    ]
    return min(same, key=lambda one: (one.file != name, one.batch != export.batch), default=None)


def _distance(expected: Mapping[str, Array], got: Mapping[str, Array]) -> float:
    """Greatest scaled error over all outputs; infinite where they cannot be compared."""
    if set(expected) != set(got):
        return float("inf")
    return max(
        scaled_error(array, got[name]) if got[name].shape == array.shape else float("inf")
        for name, array in expected.items()
    )
