"""What classify and regress have of their own: examples in, scores and values out."""

import math
from typing import Any

import numpy as np

from edge.errors import EdgeError
from toolkit.serve.arrays import array
from toolkit.serve.errors import FailedError, RequestError
from toolkit.serve.version import Array, Arrays, Spec, Version

_NEAR = 0.02
"""How far probabilities may be from a sum of 1: those of int8 models are in steps of 1/256."""


def with_context(body: dict[str, Any]) -> list[Any]:
    """The examples of a request, each with the features that all have in common.

    Raises:
        RequestError: there are none, or a feature is in both.
    """
    rows, context = body.get("examples"), body.get("context")
    if type(rows) is not list or not rows:
        raise RequestError(
            "examples: expected a list of objects of values by input name, one at least; send "
            '{"examples": [{NAME: VALUE}]}'
        )
    if context is None:
        return rows
    if type(context) is not dict:
        raise RequestError(
            "context: expected an object of values by input name, got something else"
        )
    for index, row in enumerate(rows):
        twice = sorted(set(row) & set(context)) if type(row) is dict else ()
        if twice:
            raise RequestError(
                f"examples[{index}]: {twice[0][:100]!r} is in the context, too; give it once"
            )
    return [{**row, **context} if type(row) is dict else row for row in rows]


def feature(values: list[Any], spec: Spec) -> Array:
    """The values of one input, one an example, as an array [n, ...].

    Features have no axes: a bare value stands for a sample of one, a flat list for any shape.

    Raises:
        RequestError: they do not fit.
    """
    sample = spec.shape[1:]
    first = values[0]
    depth = _depth(first)
    if None not in sample and depth < min(len(sample), 2):
        size = math.prod(size or 1 for size in sample)
        if (len(first) if depth else 1) == size:
            flat = (*spec.shape[:1], size)[: depth + 1]
            made = array(values, Spec(spec.name, flat, spec.dtype), "examples")
            return made.reshape((len(made), *sample))
    return array(values, spec, "examples")


def _depth(value: Any) -> int:
    depth = 0
    while type(value) is list and value:
        value, depth = value[0], depth + 1
    return depth


def need_classes(version: Version) -> None:
    """Raise a RequestError for a model that does not choose among classes."""
    shape = version.outputs[0].shape
    one = len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)
    if (version.decision == "argmax" and len(shape) == 2) or (version.decision == "sign" and one):
        return
    raise RequestError(
        f"model {version.name} answers {version.outputs[0]} and has no classes; use :predict"
    )


def need_value(version: Version) -> None:
    """Raise a RequestError for a model that has not one value for each sample."""
    shape = version.outputs[0].shape
    if not shape or any(size != 1 for size in shape[1:]):
        raise RequestError(
            f"model {version.name} answers {version.outputs[0]}, not one value a sample; "
            "use :predict"
        )


def scores(outputs: Arrays, version: Version) -> Array:
    """The score of every class, [n, classes], in the model's order.

    What the manifest's postprocessing makes of the first output, if that has the same shape. Where
    there is none: the output as it is if the model's golden vectors (or this answer, where there
    are none) are all probabilities, which sum to 1, otherwise its softmax. Of one number a sample
    that is decided by its sign: 1 - p and p, with p its sigmoid.

    Raises:
        FailedError: the manifest's postprocessing does not fit the output.
    """
    first = outputs[version.outputs[0].name]
    if version.decision == "sign":
        logits = first.reshape(len(first), 1).astype(np.float64)
        return _softmax(np.concatenate([np.zeros_like(logits), logits], axis=1))
    done = _processed(outputs, version)
    if done is not None and done.shape == first.shape:
        return done
    golden = (version.golden or {}).get(f"outputs.{version.outputs[0].name}")
    known = first if golden is None or golden.ndim != 2 else golden
    sums = known.sum(axis=1, dtype=np.float64)
    if (known >= 0).all() and (np.abs(sums - 1) < _NEAR).all():
        return first
    return _softmax(first.astype(np.float64))


def values(outputs: Arrays, version: Version) -> Array:
    """One value a sample, [n]: of the first output, after the postprocessing if one value is left.

    Raises:
        FailedError: the manifest's postprocessing does not fit the output.
    """
    first = outputs[version.outputs[0].name]
    done = _processed(outputs, version)
    return (first if done is None or done.size != first.size else done).reshape(-1)


def _processed(outputs: Arrays, version: Version) -> Array | None:
    manifest = version.model.manifest
    if manifest is None or not manifest.postprocessing:
        return None
    try:
        return version.interpret(outputs).processed
    except EdgeError as error:
        raise FailedError("the model's postprocessing failed; the log says why") from error


def _softmax(logits: Array) -> Array:
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        grown = np.exp(logits - logits.max(axis=1, keepdims=True))
        made: Array = (grown / grown.sum(axis=1, keepdims=True)).astype(np.float32)
    return made
