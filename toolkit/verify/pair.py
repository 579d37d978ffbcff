"""Two model files of any formats, asked the same and compared: `toolkit verify A B`.

A is the reference. Inputs and outputs are matched by name, never by place or shape alone: two that
look alike may mean different things.
"""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import EdgeError
from edge.manifest import Manifest
from edge.tensor import Tensor
from toolkit.errors import CheckError, ToolkitError, UsageError
from toolkit.hosts import Host
from toolkit.models.describe import inputs_of
from toolkit.models.predict import predict
from toolkit.models.samples import make_up
from toolkit.models.source import ModelSource
from toolkit.recipe import Array
from toolkit.verify.compare import compare, judge, refuse_vacuous
from toolkit.verify.distances import worst
from toolkit.verify.files import appended, open_file, turned
from toolkit.verify.gates import gate_for, loosest
from toolkit.verify.pair_result import PairResult

__all__ = ["PairResult", "Told", "ask", "compare_pair"]

_OPENED = ("onnx", "tflite", "savedmodel", "pt2")  # kinds that an exported file may have too
_MEANING = ("labels", "decision", "preprocessing", "postprocessing")


@dataclass(frozen=True)
class Told:
    """What one of the two says.

    Attributes:
        runtime: that ran it.
        outputs: by name, each [n, ...].
        manifest: that the file carries, or None.
    """

    runtime: str
    outputs: Mapping[str, Array]
    manifest: Manifest | None


def compare_pair(
    a: ModelSource,
    b: ModelSource,
    inputs: Mapping[str, Array] | None,
    children: Host,
    logs: Path,
    *,
    precision: str | None = None,
    min_agreement: float | None = None,
) -> PairResult:
    """Ask two models the same and compare their answers.

    Args:
        a: the reference.
        b: what is compared with it.
        inputs: as A takes them, by name, each [n, ...]; None for samples made up from what both
            say they take.
        children: where each is run, in a process of its own.
        logs: folder for what that prints.
        precision: whose limits B must keep to; None for the looser one of the two manifests'.
        min_agreement: least share of unchanged decisions, or None for the precision's own.

    Raises:
        UsageError: one cannot be read, does not take the inputs, or the names differ.
        CheckError: A's answers prove nothing.
    """
    made_up = inputs is None
    if inputs is None:
        inputs = make_up(_described(a, b, children, logs)).inputs
    first = children.submit(ask, a, inputs, None, log=logs / "pair-a.log")
    one: Told = _from("A", first)
    second = children.submit(ask, b, inputs, one.manifest, log=logs / "pair-b.log")
    other: Told = _from("B", second)
    if set(one.outputs) != set(other.outputs):
        raise UsageError(
            f"A answers {', '.join(sorted(one.outputs))}, B {', '.join(sorted(other.outputs))}; "
            "outputs are matched by name: export B again with A's names"
        )
    if vacuous := refuse_vacuous(one.outputs):
        kind = "with other samples" if made_up else "with --samples FILE.npz of real data"
        raise CheckError(f"A: {vacuous}; that proves nothing. Compare them {kind}")
    known = [m.precision for m in (one.manifest, other.manifest) if m is not None]
    chosen = loosest(*known) if precision is None else precision
    samples = len(next(iter(inputs.values())))
    return _compared(one, other, chosen, min_agreement, (samples, made_up))


def ask(model: ModelSource, inputs: Mapping[str, Array], base: Manifest | None) -> Told:
    """Run one model. Runs in a child process.

    Args:
        model: whatever it is.
        inputs: by name, each [n, ...], in the layout of the file that `base` belongs to.
        base: the other file's manifest; one transposition beyond its preprocessing is made up for.

    Raises:
        UsageError: it cannot be read, or does not take inputs of these names.
    """
    try:
        if model.kind not in _OPENED:
            _same_names(model, inputs)
            return Told(model.framework, predict(model, inputs), None)
        files = model.files if model.kind == "savedmodel" else {"": model.content}
        opened = open_file(files, model.kind, next(iter(model.files)))
        if model.kind in ("savedmodel", "pt2"):
            _same_names(model, inputs)
        given = turned(inputs, _layout(opened.manifest, base))
        return Told(opened.runtime, opened.predict(given), opened.manifest)
    except EdgeError as error:
        name = next(iter(model.files), "")
        told = re.sub(rf"\S*/{re.escape(name)}", name, str(error))  # the folder was ours
        raise UsageError(told) from error


def _layout(own: Manifest | None, base: Manifest | None) -> dict[str, list[int]]:
    """Axes by input from the layout of the file with the manifest `base` to the own one."""
    if own is None or base is None:
        return {}
    axes = appended(own.preprocessing, base.preprocessing)
    if axes is None:
        back = appended(base.preprocessing, own.preprocessing) or {}
        axes = {name: np.argsort(order).tolist() for name, order in back.items()}
    return axes


def _described(a: ModelSource, b: ModelSource, children: Host, logs: Path) -> list[Tensor]:
    """What A takes; a size that it leaves free is B's, and where it says nothing, all is B's."""
    silent: Future[Any] = Future()
    silent.set_result(())
    pending = [
        silent  # a function takes what it takes, and to load it would tell no more
        if model.kind == "function"
        else children.submit(inputs_of, model, log=logs / f"inputs-{side}.log")
        for side, model in (("a", a), ("b", b))
    ]
    ours, theirs = (
        {tensor.name: tensor for tensor in _from(side, future)}
        for side, future in zip("AB", pending, strict=True)
    )
    if not ours and not theirs:
        raise UsageError("neither model says what it takes; give inputs with --samples FILE.npz")
    if ours and theirs and set(ours) != set(theirs):
        raise UsageError(
            f"A takes {', '.join(sorted(ours))}, but B {', '.join(sorted(theirs))}; inputs are "
            "matched by name: export B again with A's names"
        )
    return [_filled(tensor, theirs.get(name, tensor)) for name, tensor in (ours or theirs).items()]


def _filled(one: Tensor, other: Tensor) -> Tensor:
    if len(one.shape) != len(other.shape):
        return one
    sizes = zip(one.shape, other.shape, strict=True)
    return replace(one, shape=tuple(size or instead for size, instead in sizes))


def _same_names(model: ModelSource, inputs: Mapping[str, Array]) -> None:
    """Refuse other names than the model's own, where frameworks would go by place."""
    if model.kind in ("function", "recipe"):  # they have none, or check them
        return
    names = [tensor.name for tensor in inputs_of(model)]
    if set(names) != set(inputs):
        raise UsageError(
            f"it takes {', '.join(sorted(names))}, but was given {', '.join(sorted(inputs))}; "
            "inputs are matched by name: give both models the same names"
        )


def _from(side: str, future: Any) -> Any:
    """What a child answered; its error says which of the two it is about."""
    try:
        return future.result()
    except ToolkitError as error:
        raise type(error)(f"{side}: {error}", detail=error.detail) from error


def _compared(
    one: Told,
    other: Told,
    precision: str,
    min_agreement: float | None,
    samples: tuple[int, bool],
) -> PairResult:
    gate = gate_for(precision, min_agreement)
    meaning = one.manifest or other.manifest
    decision = "value" if meaning is None else meaning.decision
    try:
        result = compare(one.outputs, other.outputs, decision, None, gate)
    except (EdgeError, ValueError) as error:
        raise UsageError(f"B's answers cannot be compared with A's: {error}") from error
    places = [worst(name, array, other.outputs[name]) for name, array in one.outputs.items()]
    manifests = _differences(one.manifest, other.manifest)
    reason = judge(result, precision, gate)
    return PairResult(
        precision=precision,
        runtimes=(one.runtime, other.runtime),
        samples=samples[0],
        made_up=samples[1],
        comparison=result,
        places=tuple(place for place in places if place.error),
        manifests=manifests,
        reasons=(*([reason] if reason else []), *manifests),
    )


def _differences(one: Manifest | None, other: Manifest | None) -> tuple[str, ...]:
    """What two files say differently about their meaning; one without a manifest says nothing."""
    if one is None or other is None:
        return ()
    layouts = (
        appended(other.preprocessing, one.preprocessing),
        appended(one.preprocessing, other.preprocessing),
    )
    alike = [name for name in _MEANING if getattr(one, name) == getattr(other, name)]
    if any(layout is not None for layout in layouts):
        alike.append("preprocessing")
    return tuple(
        f"{name}: A has {_short(getattr(one, name))}, B has {_short(getattr(other, name))}"
        for name in _MEANING
        if name not in alike
    )


def _short(value: Mapping[str, Any] | Sequence[Any] | None) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 160 else f"{text[:157]}..."
