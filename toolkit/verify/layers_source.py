"""What the layers of a model compute, recorded in a process of its framework."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.models.source import ModelSource
from toolkit.recipe import Array
from toolkit.verify.layers import Pool, Tap, first_lost


def first_layer_lost(
    model: ModelSource,
    feeds: Sequence[Mapping[str, Array]],
    tensors: Sequence[Array],
    tolerance: float,
) -> tuple[str, str, float] | None:
    """Name, type and distance (see `Pool.distance`) of `first_lost`; None where there is none.

    Args:
        model: a Keras or torch model with layers.
        feeds: preprocessed inputs by name, as the file was run on them.
        tensors: the file's, each [feeds, ...].
        tolerance: of `Pool`.
    """
    pool = Pool(tensors, tolerance)
    found = first_lost(record(model, feeds), pool)
    return None if found is None else (found.name, found.operator, pool.distance(found.values))


def record(model: ModelSource, feeds: Sequence[Mapping[str, Array]]) -> list[Tap]:
    """The layers in the order in which they ran, and the model's outputs; empty without layers."""
    recorder = _keras if model.framework == "tf" else _torch
    return _stacked([recorder(model, feed) for feed in feeds])


class _Calls:
    """Calls of layers, in order of their ends; equal tensors are the same array throughout."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, list[int], int]] = []
        self.arrays: list[Array] = []
        self._known: dict[
            tuple[int, int], tuple[Any, int]
        ] = {}  # the tensor itself keeps its id from reuse

    def add(self, name: str, kind: str, given: Any, made: Any) -> None:
        """One call: what it was given, and each tensor that it made."""
        taken = [self._number(tensor) for tensor in _tensors(given)]
        made_before = {number for *_, number in self.calls}
        for tensor in _tensors(made):
            number = self._number(tensor)
            if number not in made_before and number not in taken:  # not made by an inner layer
                self.calls.append((name, kind, taken, number))

    def _number(self, tensor: Any) -> int:
        key = id(tensor), getattr(tensor, "_version", 0)  # torch counts changes in place
        if key not in self._known:
            self._known[key] = (tensor, len(self.arrays))
            self.arrays.append(np.array(_array(tensor)))
        return self._known[key][1]


def _stacked(runs: Sequence[_Calls]) -> list[Tap]:
    """The calls of all runs as one; they are the same but for the values."""
    first = runs[0]
    if any([c[:2] for c in run.calls] != [c[:2] for c in first.calls] for run in runs):
        return []
    if any(len(run.arrays) != len(first.arrays) for run in runs):
        return []
    arrays = [
        np.stack(values) if len({value.shape for value in values}) == 1 else np.zeros(0)
        for values in zip(*(run.arrays for run in runs), strict=True)
    ]
    return [
        Tap(name, kind, (), arrays[made], tuple(arrays[number] for number in given))
        for name, kind, given, made in first.calls
    ]


def _tensors(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in _tensors(item)]
    is_tensor = hasattr(value, "shape") and hasattr(value, "dtype")
    return [value] if is_tensor and len(value.shape) else []


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.detach() if hasattr(tensor, "detach") else tensor)


def _keras(model: ModelSource, feed: Mapping[str, Array]) -> _Calls:
    import tensorflow as tf

    from toolkit.models.keras import load

    loaded = load(model, {name: array[:1] for name, array in feed.items()})
    calls = _Calls()
    for layer in loaded.layers:
        if not type(layer).__name__.endswith(("Cell", "Cells")):  # one step of a recurrent layer
            _watch(layer, calls)
    outputs = loaded.call({name: tf.convert_to_tensor(array) for name, array in feed.items()})
    if calls.calls:
        _add_outputs(calls, outputs)
    return calls


def _watch(layer: Any, calls: _Calls) -> None:
    """Record the calls of one Keras layer, which are made through its attribute `call`."""
    inner = layer.call

    def call(*args: Any, **kwargs: Any) -> Any:
        made = inner(*args, **kwargs)
        calls.add(layer.name, type(layer).__name__, [args, kwargs], made)
        return made

    object.__setattr__(layer, "call", call)


def _torch(model: ModelSource, feed: Mapping[str, Array]) -> _Calls:
    import torch

    from toolkit.models.torch import load

    loaded = load(model)
    calls = _Calls()
    for name, module in loaded.module.named_modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # it would overwrite what the layer before it made
        if name:
            module.register_forward_hook(_hook(name, calls), with_kwargs=True)
    tensors = {n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in feed.items()}
    with torch.no_grad():
        outputs = loaded.call(tensors)
    if calls.calls:
        _add_outputs(calls, outputs)
    return calls


def _hook(name: str, calls: _Calls) -> Any:
    def hook(module: Any, args: Any, kwargs: Any, made: Any) -> None:
        calls.add(name, type(module).__name__, [args, kwargs], made)

    return hook


def _add_outputs(calls: _Calls, outputs: Mapping[str, Any]) -> None:
    """The model's outputs as layers, where code behind the last layer made them."""
    for name, tensor in outputs.items():
        calls.add(name, "the output", [], tensor)
