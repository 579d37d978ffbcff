"""Samples ready for a model: in memory, or in records that are mapped and prepared on demand.

`Form` turns raw columns into what a model takes; both kinds of samples go through it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edge import steps as edge_steps
from edge.errors import EdgeError
from toolkit.data.records import Records
from toolkit.errors import DataError
from toolkit.recipe import Array, Recipe


class SampleStore(ABC):
    """Samples that can be taken by id, in any order."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abstractmethod
    def take(self, ids: Any) -> "Samples":
        """The samples at `ids`, a slice or an array of any shape, in that order."""

    @abstractmethod
    def classes(self) -> int:
        """Number of classes that the targets show."""

    @abstractmethod
    def ordered(self, names: Sequence[str]) -> "SampleStore":
        """The same samples with their inputs in this order."""

    def example(self) -> dict[str, Array]:
        """The first sample's inputs by name, each [1, ...]."""
        return dict(self.take(slice(0, 1)).inputs)

    @property
    def sample_bytes(self) -> int:
        """Memory of one sample."""
        first = self.take(slice(0, 1))
        return sum(array.nbytes for array in [*first.inputs.values(), first.targets])


@dataclass(frozen=True)
class Samples(SampleStore):
    """Samples in memory.

    Attributes:
        inputs: by name, each [n, ...]; float32 or integers.
        targets: [n, ...], float32 or int64.
        weights: [n] float32 factors of each sample's loss, or None.
    """

    inputs: Mapping[str, Array]
    targets: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, ids: Any) -> "Samples":
        """Copies, or views where `ids` is a slice."""
        inputs = {name: array[ids] for name, array in self.inputs.items()}
        weights = None if self.weights is None else self.weights[ids]
        return Samples(inputs, self.targets[ids], weights)

    def classes(self) -> int:
        """The greatest class number and 1."""
        return int(self.targets.max()) + 1

    def ordered(self, names: Sequence[str]) -> "Samples":
        """The same arrays."""
        return replace(self, inputs={name: self.inputs[name] for name in names})


@dataclass(frozen=True)
class Form:
    """What becomes of a split's raw columns.

    Attributes:
        steps: preprocessing by input name, in the order in which the model takes its inputs.
        classes: whether targets are class numbers.
        class_weights: factors by class number that sample weights are multiplied with, or None.
    """

    steps: Mapping[str, Sequence[Mapping[str, Any]]]
    classes: bool
    class_weights: Mapping[int, float] | None

    @classmethod
    def of(cls, recipe: Recipe, split: str, names: Sequence[str]) -> "Form":
        """The form that a recipe asks for; validation counts all samples alike."""
        steps = {name: recipe.steps_for(name) for name in names}
        factors = recipe.class_weights if split == "train" else None
        return cls(steps, recipe.loss == "cross_entropy", factors and dict(factors))

    def make(self, raw: Mapping[str, Array], targets: Array, weights: Array | None) -> Samples:
        """Samples from raw inputs [n, ...], targets [n, ...] and weights [n]."""
        inputs = {name: prepare(name, steps, raw[name]) for name, steps in self.steps.items()}
        if self.classes:
            ready = targets.astype(np.int64, copy=False)
        else:
            ready = targets.astype(np.float32, copy=False)
            ready = ready[:, None] if ready.ndim == 1 else ready
        return Samples(inputs, ready, self._weights(ready, weights))

    def _weights(self, targets: Array, weights: Array | None) -> Array | None:
        if weights is not None:
            weights = weights.astype(np.float32, copy=False)
        if self.class_weights is None:
            return weights
        table = np.ones(1 + max([*self.class_weights, int(targets.max())]), np.float32)
        table[list(self.class_weights)] = list(self.class_weights.values())
        return table[targets] if weights is None else weights * table[targets]


def prepare(name: str, steps: Sequence[Mapping[str, Any]], array: Array) -> Array:
    """Apply preprocessing steps to one raw input [n, ...]; floats come back as float32.

    Raises:
        DataError: a step does not fit, or makes NaN or infinity.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            ready = edge_steps.apply(steps, array)
    except EdgeError as error:
        raise DataError(f"input {name!r}: preprocessing failed: {error}") from error
    if not np.isfinite(ready).all():
        raise DataError(f"input {name!r}: preprocessing makes NaN or infinity of it")
    # integers (ids, raw bytes) stay what they are
    return ready.astype(np.float32, copy=False) if ready.dtype.kind in "fb" else ready


@dataclass(frozen=True)
class Recorded(SampleStore):
    """Samples in records on this machine's disk; pickles as a path.

    Attributes:
        records: raw columns.
        form: what becomes of them.
        inputs: column by input name.
        target: column of the targets.
        weight: column of the weights, or None.
    """

    records: Records
    form: Form
    inputs: Mapping[str, str] = field(default_factory=dict)
    target: str = "y"
    weight: str | None = None

    def __len__(self) -> int:
        return self.records.count

    def take(self, ids: Any) -> Samples:
        """Copies, with all preprocessing done."""
        if not isinstance(ids, slice) and np.ndim(ids) != 1:
            return _folded(self.take(np.ravel(ids)), np.shape(ids))
        gather = self.records.gather
        raw = {name: _with_axis(gather(column, ids)) for name, column in self.inputs.items()}
        weights = None if self.weight is None else gather(self.weight, ids)
        return self.form.make(raw, gather(self.target, ids), weights)

    def classes(self) -> int:
        """The greatest class number and 1."""
        return int(self.records.limits(self.target)[1]) + 1

    def ordered(self, names: Sequence[str]) -> "Recorded":
        """The same records."""
        form = replace(self.form, steps={name: self.form.steps[name] for name in names})
        return replace(self, form=form, inputs={name: self.inputs[name] for name in names})

    @property
    def raw(self) -> Mapping[str, Array]:
        """Raw inputs by name, each [n, ...], mapped and not loaded."""
        return _RawInputs(self.records, self.inputs)


class _RawInputs(Mapping[str, Array]):
    def __init__(self, records: Records, columns: Mapping[str, str]) -> None:
        self._records, self._columns = records, columns

    def __getitem__(self, name: str) -> Array:
        return _with_axis(self._records[self._columns[name]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def _folded(samples: Samples, shape: tuple[int, ...]) -> Samples:
    """Samples [n, ...] as [*shape, ...]."""

    def fold(array: Array) -> Array:
        return array.reshape(shape + array.shape[1:])

    inputs = {name: fold(array) for name, array in samples.inputs.items()}
    weights = None if samples.weights is None else fold(samples.weights)
    return Samples(inputs, fold(samples.targets), weights)


def _with_axis(array: Array) -> Array:
    return array[:, None] if array.ndim == 1 else array
