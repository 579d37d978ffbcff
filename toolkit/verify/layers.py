"""Which layer is the first whose values went wrong: the pure core of blame.

Readers of files (layers_tflite.py, layers_onnx.py) and of models (layers_source.py) record what
flows between layers; here two recordings are compared. `blame.py` puts the verdict into words.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from toolkit.recipe import Array

_BAD = 0.1  # noise, as a share of the spread, that a layer must exceed: 20 dB
_JUMP = 3.0  # by how much it must exceed what went in
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear", "Cast", "CAST")
_AXES = 6  # of which all permutations are tried: 720


@dataclass(frozen=True)
class Tap:
    """One tensor of a file or model that was run.

    Attributes:
        name: the tensor's in a file; the layer's in a model.
        operator: type of the operator or layer that made it.
        inputs: names of the tensors that it was made of; constants may be among them.
        values: [runs, ...]; a file of a fixed batch size is run several times.
        given: values of the tensors that it was made of, where `inputs` has no names for them.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    values: Array
    given: tuple[Array, ...] = ()


@dataclass(frozen=True)
class LayerError:
    """How far one tensor is from its reference.

    Attributes:
        name: the tensor's.
        operator: type of the operator that made it.
        error: root of the mean squared difference, divided by the reference's standard deviation.
        before: the greatest such error among the tensors that it was made of.
    """

    name: str
    operator: str
    error: float
    before: float

    def __str__(self) -> str:
        return f"{self.operator} {self.name!r}"


def layer_errors(reference: Sequence[Tap], candidate: Sequence[Tap]) -> list[LayerError]:
    """Compare tensors that both have, by name, in the reference's order.

    A tensor that the candidate lacks, because it was fused into the next, passes on the error of
    what it was made of. Operators are named as the candidate has them.
    """
    others = {tap.name: tap for tap in candidate}
    known: dict[str, float] = {}
    found = []
    for tap in reference:
        before = max((known.get(name, 0.0) for name in tap.inputs), default=0.0)
        known[tap.name] = before
        other = others.get(tap.name)
        if other is None or other.values.size != tap.values.size or tap.values.dtype.kind != "f":
            continue
        known[tap.name] = error = relative_noise(tap.values, other.values)
        operator = tap.operator if other.operator in _CONVERSIONS else other.operator
        found.append(LayerError(tap.name, operator, error, before))
    return found


def first_bad(pairs: Sequence[LayerError]) -> LayerError | None:
    """The first tensor in order that is bad by itself, or None.

    Rounding to integers disturbs every tensor a little, and later ones more, so neither the first
    that differs nor the worst is at fault. Bad is a tensor whose noise is above a tenth of its own
    spread and above three times that of the worst tensor that it was made of.
    """
    for pair in pairs:
        if not pair.error <= _BAD and not pair.error <= _JUMP * pair.before:
            return pair
    return None


def relative_noise(expected: Array, got: Array) -> float:
    """Root mean square of the difference over the expected standard deviation (or size)."""
    wide = expected.reshape(-1).astype(np.float64)
    other = got.reshape(-1).astype(np.float64)
    scale = float(np.abs(wide).max(initial=0.0))
    if not math.isfinite(scale) or not np.isfinite(other).all():
        return math.inf
    if not scale:
        return math.inf if other.any() else 0.0
    wide, other = wide / scale, other / scale  # squares of 1e-30 and 1e30 stay numbers
    spread = float(wide.std()) or 1.0
    with np.errstate(over="ignore"):
        return float(np.sqrt(((other - wide) ** 2).mean())) / spread


class Pool:
    """Values of a file's tensors, to be found by content whatever their name and layout.

    Args:
        arrays: tensors, each [runs, ...].
        tolerance: greatest difference, as a share of the range, between equal tensors.
    """

    def __init__(self, arrays: Sequence[Array], tolerance: float) -> None:
        self._tolerance = tolerance
        self._by_size: dict[int, list[tuple[Array, Array]]] = {}
        for array in arrays:
            if array.dtype.kind == "f" and array.size:
                wide = array.astype(np.float64)
                self._by_size.setdefault(array.size, []).append((wide, np.sort(wide.reshape(-1))))

    def distance(self, values: Array) -> float:
        """How far the nearest tensor is: greatest difference over the range; inf without any.

        Axes may stand in another order, and be merged or split.
        """
        wide = values.astype(np.float64)
        ordered = np.sort(wide.reshape(-1))
        spread = float(ordered[-1] - ordered[0]) or float(np.abs(ordered).max()) or 1.0
        nearest = math.inf
        for array, sorted_array in self._by_size.get(values.size, []):
            least = float(np.abs(sorted_array - ordered).max()) / spread  # of any order of values
            if least <= self._tolerance:
                least = self._least(wide, array, spread)
            nearest = min(nearest, least)
        return nearest

    def holds(self, values: Array) -> bool:
        """Whether one of the tensors has these values."""
        return self.distance(values) <= self._tolerance

    def _least(self, one: Array, other: Array, spread: float) -> float:
        nearest = math.inf
        for first, second in ((one, other), (other, one)):
            flat = second.reshape(-1)
            squeezed = first.reshape([size for size in first.shape if size > 1] or [1])
            orders = permutations(range(squeezed.ndim)) if squeezed.ndim <= _AXES else ()
            for order in orders or [tuple(range(squeezed.ndim))]:
                difference = squeezed.transpose(order).reshape(-1) - flat
                nearest = min(nearest, float(np.abs(difference).max()) / spread)
                if nearest <= self._tolerance:
                    return nearest
        return nearest


def first_lost(layers: Sequence[Tap], pool: Pool) -> Tap | None:
    """The first layer of a model whose output the file lacks though it has what went in.

    A converter fuses layers (convolution, batch norm, activation), so an output that the file lacks
    is no fault where what was made of it is there. Who made what is known by the arrays themselves:
    a layer that takes another's output has the very same array in `given`.

    Args:
        layers: in the order in which they ran, the model's outputs last as layers of their own.
        pool: the file's tensors.
    """
    held = [_says_nothing(layer.values) or pool.holds(layer.values) for layer in layers]
    found = [not own and not _goes_on(layers, held, i, pool) for i, own in enumerate(held)]
    lost = [layer for layer, bad in zip(layers, found, strict=True) if bad]
    made = {id(layer.values): bad for layer, bad in zip(layers, found, strict=True)}
    for layer in lost:
        if not any(made.get(id(array), False) for array in layer.given):
            return layer
    return lost[0] if lost else None


def _says_nothing(values: Array) -> bool:
    return values.dtype.kind != "f" or not values.size or float(np.ptp(values)) == 0


def _goes_on(layers: Sequence[Tap], held: Sequence[bool], at: int, pool: Pool) -> bool:
    """Whether something that was made of a layer's output is in the file."""
    waiting, seen = [at], set[int]()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        if held[one] and not _says_nothing(layers[one].values):
            return True
        takers = [
            i for i in range(one + 1, len(layers)) if _is_in(layers[one].values, layers[i].given)
        ]
        waiting += takers
        if not takers and one + 1 < len(layers) and _leads_on(layers, one + 1, pool):
            return True
    return False


def _leads_on(layers: Sequence[Tap], at: int, pool: Pool) -> bool:
    """Whether what goes into a layer came from code between layers, and is in the file."""
    made = [layer.values for layer in layers[:at]]
    return any(
        not _is_in(array, made) and not _says_nothing(array) and pool.holds(array)
        for array in layers[at].given
    )


def _is_in(array: Array, arrays: Sequence[Array]) -> bool:
    return any(array is other for other in arrays)
