"""Samples one by one into a rolling window; an answer each time that enough new ones came.

For `watch - --hop N`. A line that is no sample is a gap in time: the window begins anew after it,
so that no answer is about samples that do not follow each other. Memory is that of one window.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from edge import steps
from edge.answer import interpret, prepare
from edge.errors import InputError
from edge.model import Model
from edge.present import as_json
from edge.raw import decoded, takes_text
from edge.read_input import is_header, read_numbers

MAX_VALUES = 1 << 24
"""Of a window."""


class Stream:
    """One stream of samples, and the model that answers about its windows.

    model       of one input whose raw samples are windows: [steps] or [steps, channels]
    hop         new samples between two answers; the first comes when the window is full
    window      its steps, where the model leaves them free; None takes the model's
    average     over how many answers in a row the outputs are averaged before the decision
    preprocess  False where lines hold what the model itself takes

    Raises InputError if the model does not take such windows.
    """

    def __init__(
        self,
        model: Model,
        hop: int,
        *,
        window: int | None = None,
        average: int = 1,
        preprocess: bool = True,
    ) -> None:
        self._model, self._hop, self._preprocess = model, hop, preprocess
        self._name = model.inputs[0].name
        self._window, self._channels = _sizes(model, window, preprocess=preprocess)
        if average > 1 and any(np.dtype(t.dtype).kind != "f" for t in model.outputs):
            raise InputError(f"{model.source}: answers whole numbers, which --average cannot take")
        # Each sample is written twice, a window apart: any window is then one piece of memory.
        self._samples = np.zeros((2 * self._window, *self._channels))
        self._recent: deque[Mapping[str, np.ndarray]] = deque(maxlen=average)
        self._begun = False
        self._restart()
        if window is not None:  # whether the steps make of it what the model takes
            self._answer(self._samples[: self._window])
            self._recent.clear()

    def take(self, line: bytes) -> dict[str, Any] | None:
        """Add the sample of one line: the answer as `run --json` gives it, or None if none is due.

        A line is one number a channel, as JSON or CSV; the first may be the header of a CSV file.

        Raises InputError if it is none, EdgeError if the model cannot answer. Either way the next
        answer needs a full window of new samples.
        """
        try:
            sample = self._read(line)
            return None if sample is None else self._add(sample)
        except Exception:
            self._restart()
            raise

    def _restart(self) -> None:
        self._count, self._due = 0, self._window
        self._recent.clear()

    def _read(self, line: bytes) -> np.ndarray | None:
        """One sample [channels] or [], None for a header."""
        begun, self._begun = self._begun, True
        text = decoded(line).strip()
        size = math.prod(self._channels)
        if not begun and is_header(text, size):
            return None
        values = read_numbers(text)
        if max(values.shape, default=1) != values.size or values.size != size:
            raise InputError(
                f"a sample is {size} number{'s' * (size > 1)}, one a channel; "
                f"got an array of shape {list(values.shape)}"
            )
        return values.reshape(self._channels)

    def _add(self, sample: np.ndarray) -> dict[str, Any] | None:
        place = self._count % self._window
        self._samples[place] = self._samples[place + self._window] = sample
        self._count += 1
        if self._count < self._due:
            return None
        self._due += self._hop
        return self._answer(self._samples[place + 1 : place + 1 + self._window])

    def _answer(self, window: np.ndarray) -> dict[str, Any]:
        batch = prepare(self._model, {self._name: window}, preprocess=self._preprocess)
        self._recent.append(self._model.predict(batch))
        outputs = self._recent[-1]
        if len(self._recent) > 1:
            outputs = {name: np.mean([o[name] for o in self._recent], axis=0) for name in outputs}
        return as_json(interpret(self._model, outputs))


def _sizes(model: Model, window: int | None, *, preprocess: bool) -> tuple[int, tuple[int, ...]]:
    """The steps of a window, and () or (channels,); raises InputError."""
    where = f"{model.source}: --hop"
    if len(model.inputs) > 1:
        raise InputError(f"{where}: the model takes several inputs, a stream is one")
    name, shape = model.inputs[0].name, model.inputs[0].shape
    if shape and shape[0] not in (None, 1):
        raise InputError(f"{where}: the file takes {shape[0]} windows at a time, a stream has one")
    if preprocess and takes_text(model, name):
        raise InputError(f"{where}: the model takes texts, which have no windows; leave --hop out")
    todo = model.manifest.preprocessing.get(name, ()) if model.manifest and preprocess else ()
    raw = steps.raw_shape(todo, shape[1:])
    if not 1 <= len(raw) <= 2 or None in raw[1:]:
        expected = ", ".join("any" if size is None else str(size) for size in raw)
        raise InputError(
            f"{where}: needs a model of windows [steps] or [steps, channels]; "
            f"this one takes [{expected}]"
        )
    length = raw[0] if window is None else window
    if length is None:
        raise InputError(
            f"{where}: the model takes windows of any length; state the samples with --window"
        )
    if raw[0] not in (None, length):
        raise InputError(f"{where}: the model takes windows of {raw[0]} samples, not {length}")
    channels = tuple(size for size in raw[1:] if size is not None)
    if length * math.prod(channels) > MAX_VALUES:
        raise InputError(f"{where}: a window of over {MAX_VALUES} values")
    return length, channels
