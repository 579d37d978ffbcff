"""The whole way from raw values to answers, as the manifest describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable
from weakref import WeakKeyDictionary

import numpy as np

from edge import steps
from edge.decision import decide
from edge.errors import InputError, ModelError
from edge.model import Model
from edge.read_input import to_batch


@dataclass(frozen=True)
class Answers:
    """What a model said about n samples.

    outputs    the raw outputs by name, [n, ...]
    answers    the manifest's decision about the first output, [n] or [n, k]; None without one
    labels     the label of every answer; None where the manifest has none or the answer is a value
    processed  the first output after the manifest's postprocessing; None where there is none
    """

    outputs: Mapping[str, np.ndarray]
    answers: np.ndarray | None
    labels: list[str] | None
    processed: np.ndarray | None = None


@dataclass(frozen=True)
class _Pipelines:
    """The steps of one model's manifest, compiled."""

    before: Mapping[str, Callable[[np.ndarray], np.ndarray]]  # by input
    after: Callable[[np.ndarray], np.ndarray] | None  # of the first output


_COMPILED: WeakKeyDictionary[Model, _Pipelines] = WeakKeyDictionary()
"""By open model, so that tables are made once and go when the model goes."""


def answer(model: Model, raw: Mapping[str, np.ndarray], *, preprocess: bool = True) -> Answers:
    """Preprocess raw arrays by input name, run the model, decide, and look up the labels.

    Raises InputError if an array does not fit, BrokenRuntimeError if the model cannot answer, and
    ModelError if the manifest's postprocessing does not fit what it answers.
    """
    return interpret(model, model.predict(prepare(model, raw, preprocess=preprocess)))


def interpret(model: Model, outputs: Mapping[str, np.ndarray]) -> Answers:
    """Decide about outputs [n, ...] by name, and look up the labels.

    Raises InputError and BrokenRuntimeError if they cannot be decided about, and ModelError if the
    manifest's postprocessing does not fit them.
    """
    manifest = model.manifest
    if manifest is None:
        return Answers(outputs, None, None)
    first = outputs[manifest.outputs[0].name]
    answers = decide(first, manifest.decision)
    labels = _labels(answers, manifest.decision, manifest.labels)
    after = _pipelines(model).after
    try:
        return Answers(outputs, answers, labels, None if after is None else after(first))
    except InputError as error:
        raise ModelError(f"{model.source}: postprocessing: {error}") from error


def prepare(
    model: Model, raw: Mapping[str, np.ndarray], *, preprocess: bool = True
) -> dict[str, np.ndarray]:
    """The batch of every input, [n, ...], preprocessed unless told otherwise.

    Raises InputError that names the input which does not fit.
    """
    todo = model.manifest.preprocessing if model.manifest and preprocess else {}
    pipelines = _pipelines(model).before if todo else {}
    shapes = {tensor.name: tensor.shape[1:] for tensor in model.inputs if tensor.shape}
    prepared = dict(raw)  # inputs without a batch axis, and names that predict() will refuse
    for name in shapes.keys() & raw.keys():
        of_input = todo.get(name, ())
        try:
            batch = to_batch(raw[name], steps.raw_shape(of_input, shapes[name]))
            prepared[name] = pipelines[name](batch) if name in pipelines else batch
        except InputError as error:
            raise InputError(f"input {name}: {error}") from error
    return prepared


def _pipelines(model: Model) -> _Pipelines:
    known = _COMPILED.get(model)
    if known is None:
        manifest = model.manifest
        before = manifest.preprocessing if manifest else {}
        after = manifest.postprocessing if manifest else ()
        known = _Pipelines(
            {name: steps.compile(of_input, model.member) for name, of_input in before.items()},
            steps.compile(after, model.member) if after else None,
        )
        _COMPILED[model] = known
    return known


def _labels(answers: np.ndarray, decision: str, labels: tuple[str, ...] | None) -> list[str] | None:
    if labels is None or decision == "value" or answers.ndim != 1:
        return None
    if answers.max() >= len(labels):
        raise InputError(f"the model chose class {answers.max()}, there are {len(labels)} labels")
    return [labels[index] for index in answers]
