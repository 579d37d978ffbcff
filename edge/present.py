"""Answers as people and programs read them: lines of text, and values for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.answer import Answers
from edge.model import Model


def as_json(answers: Answers) -> dict[str, Any]:
    """Outputs by name, answers and labels; the last two null where there are none.

    `processed` is there only where the manifest has postprocessing.
    """
    value = {
        "outputs": {name: plain(array) for name, array in answers.outputs.items()},
        "answers": None if answers.answers is None else plain(answers.answers),
        "labels": answers.labels,
    }
    if answers.processed is not None:
        value["processed"] = plain(answers.processed)
    return value


def plain(array: np.ndarray) -> Any:
    """As JSON has it, which knows no NaN and no infinity: they become null."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        finite = np.isfinite(array)
        array = array.astype(object)
        array[~finite] = None
    return array.tolist()


def lines(model: Model, answers: Answers) -> list[str]:
    """A line a sample; without a manifest the raw outputs."""
    if model.manifest is None or answers.answers is None:
        several = len(answers.outputs) > 1
        return [
            f"{name}: {_numbers(row)}" if several else _numbers(row)
            for name, array in answers.outputs.items()
            for row in np.atleast_1d(array)
        ]
    if model.manifest.decision == "value" or answers.answers.ndim > 1:
        return [_numbers(row) for row in answers.answers]
    scores = _scores(model, answers).reshape(len(answers.answers), -1).max(axis=1)
    shown = answers.labels or answers.answers.tolist()
    return [f"{label}  (score {score:.6g})" for label, score in zip(shown, scores)]


def _scores(model: Model, answers: Answers) -> np.ndarray:
    """The first output, or what postprocessing such as softmax makes of each of its values."""
    raw, processed = answers.outputs[model.outputs[0].name], answers.processed
    alike = processed is not None and (processed.shape, processed.dtype) == (raw.shape, raw.dtype)
    return processed if alike else raw  # type: ignore[return-value]


def _numbers(row: np.ndarray) -> str:
    return " ".join(f"{number:.6g}" for number in np.ravel(row).tolist())
