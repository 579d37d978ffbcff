"""A recipe's data, checked and preprocessed, ready to be sharded.

Runs in the parent process before anything is started, so that bad data costs seconds.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge import steps as edge_steps
from edge.errors import EdgeError
from toolkit.errors import DataError
from toolkit.recipe import Array, Data, Recipe, Split


@dataclass(frozen=True)
class Samples:
    """Model inputs by name, each [n, ...], and targets [n, ...]; float32 or int64."""

    inputs: Mapping[str, Array]
    targets: Array

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, ids: Any) -> "Samples":
        """The samples at `ids` (an index array or slice), in that order."""
        inputs = {name: array[ids] for name, array in self.inputs.items()}
        return Samples(inputs, self.targets[ids])


@dataclass(frozen=True)
class Dataset:
    """Both splits after preprocessing, and the raw validation inputs for golden vectors.

    Attributes:
        train: preprocessed training samples.
        validation: preprocessed validation samples.
        raw: validation inputs by name, before preprocessing.
        probe: the probe's preprocessed inputs by name, each [1, ...], or None.
        sha256: of all arrays, so that a later run can tell whether data changed.
    """

    train: Samples
    validation: Samples
    raw: Mapping[str, Array]
    probe: Mapping[str, Array] | None
    sha256: str


def load(recipe: Recipe) -> Dataset:
    """Call the recipe's `data` function, check what it returns, and preprocess it.

    Raises:
        DataError: names the split and what is wrong with it.
    """
    try:
        data = recipe.data()
    except Exception as error:
        raise DataError(
            f"recipe {recipe.name!r}: its data function failed: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(data, Data):
        raise DataError(f"recipe {recipe.name!r}: its data function must return toolkit.Data")
    train, train_raw = _split(recipe, "train", data.train)
    validation, raw = _split(recipe, "validation", data.validation)
    _same_form(train, validation)
    # torch modules and exported files take inputs by position: one order everywhere
    ordered = {name: validation.inputs[name] for name in train.inputs}
    validation = Samples(ordered, validation.targets)
    raw = {name: raw[name] for name in train.inputs}
    probe = preprocess(recipe, probe_inputs(recipe, raw)) if recipe.probe is not None else None
    arrays = [*train_raw.values(), train.targets, *raw.values(), validation.targets]
    return Dataset(train, validation, raw, probe, _hash(arrays))


def preprocess(recipe: Recipe, raw: Mapping[str, Array]) -> dict[str, Array]:
    """Apply the recipe's preprocessing to raw inputs, each [n, ...]."""
    result = {}
    for name, array in raw.items():
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # checked below
                ready = edge_steps.apply(recipe.steps_for(name), array)
        except EdgeError as error:
            raise DataError(f"input {name!r}: preprocessing failed: {error}") from error
        if not np.isfinite(ready).all():
            raise DataError(f"input {name!r}: preprocessing makes NaN or infinity of it")
        result[name] = _model_dtype(ready)
    return result


def probe_inputs(recipe: Recipe, raw: Mapping[str, Array]) -> dict[str, Array]:
    """The probe's raw inputs as a batch of one, each [1, ...].

    Raises:
        DataError: a name, shape or kind of number differs from the data's.
    """
    assert recipe.probe is not None
    given = recipe.probe.input
    named = given if isinstance(given, Mapping) else {recipe.input_name: given}
    if set(named) != set(raw):
        raise DataError(f"the probe's inputs are {sorted(named)}, the data's {sorted(raw)}")
    return {name: _probe_input(name, named[name], array) for name, array in raw.items()}


def _probe_input(name: str, value: Any, array: Array) -> Array:
    where = f"the probe's input {name!r}"
    sample = _array(where, [value])
    given, wanted = sample.shape[1:], array.shape[1:]
    if _without_last_ones(given) != _without_last_ones(wanted):
        raise DataError(f"{where} has shape {given}, a sample {wanted}")
    with np.errstate(over="ignore"):
        cast = sample.astype(array.dtype)
    fits = np.isfinite(cast) if cast.dtype.kind == "f" else cast == sample
    if not fits.all():
        raise DataError(f"{where} holds a number that {cast.dtype}, as in the data, cannot")
    return cast.reshape((1, *wanted))


def _without_last_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _split(recipe: Recipe, name: str, split: Split) -> tuple[Samples, dict[str, Array]]:
    where = f"recipe {recipe.name!r}, split {name!r}"
    if not isinstance(split, Split):
        raise DataError(f"{where}: must be toolkit.Split, not {type(split).__name__}")
    inputs = split.inputs
    named = inputs if isinstance(inputs, Mapping) else {recipe.input_name: inputs}
    _check_names(recipe, where, named)
    raw = {key: _array(f"{where}, input {key!r}", value) for key, value in named.items()}
    targets = _array(f"{where}, targets", split.targets)
    raw = {key: array[:, None] if array.ndim == 1 else array for key, array in raw.items()}
    for key, array in raw.items():
        if len(array) != len(targets):
            raise DataError(
                f"{where}: input {key!r} has {len(array)} samples, targets have {len(targets)}"
            )
    return Samples(preprocess(recipe, raw), _targets(recipe, where, targets)), raw


def _check_names(recipe: Recipe, where: str, inputs: Mapping[str, Any]) -> None:
    if not inputs:
        raise DataError(f"{where}: has no inputs")
    if isinstance(recipe.preprocessing, Mapping):
        unknown = set(recipe.preprocessing) - set(inputs)
        if unknown:
            raise DataError(
                f"{where}: preprocessing is for {sorted(unknown)}, but there is {sorted(inputs)}"
            )


def _array(where: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:  # such as rows of different lengths
        raise DataError(f"{where}: is no array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise DataError(f"{where}: needs numbers, not {array.dtype}; encode it first")
    if array.ndim == 0 or len(array) == 0:
        raise DataError(f"{where}: has no samples")
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):  # too large becomes infinity
            array = array.astype(np.float32)
    if not np.isfinite(array).all():
        bad = int(np.argwhere(~np.isfinite(array))[0][0])
        raise DataError(
            f"{where}: sample {bad} holds NaN or infinity (in float32); clean it or leave it out"
        )
    return array


def _targets(recipe: Recipe, where: str, targets: Array) -> Array:
    if recipe.loss != "cross_entropy":
        values = targets.astype(np.float32)
        return values[:, None] if values.ndim == 1 else values
    if targets.ndim != 1 or targets.dtype.kind not in "iu":
        raise DataError(
            f"{where}, targets: cross_entropy needs class numbers, shape [n] of integers, "
            f"not {targets.dtype} {targets.shape}"
        )
    classes = len(recipe.labels) if recipe.labels is not None else None
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or (classes is not None and high >= classes):
        wrong = low if low < 0 else high
        limit = f"0 to {classes - 1}, one for each of 'labels'" if classes else "0 or more"
        raise DataError(f"{where}, targets: class {wrong} is out of range; expected {limit}")
    return targets.astype(np.int64)


def _model_dtype(array: Array) -> Array:
    """Floats as float32; integers (ids, raw bytes) stay what they are."""
    return array.astype(np.float32) if array.dtype.kind in "fb" else array


def _same_form(train: Samples, validation: Samples) -> None:
    if set(train.inputs) != set(validation.inputs):
        raise DataError(
            f"inputs differ: train has {sorted(train.inputs)}, "
            f"validation {sorted(validation.inputs)}"
        )
    pairs = [(f"input {name!r}", a, validation.inputs[name]) for name, a in train.inputs.items()]
    for where, array, other in [*pairs, ("targets", train.targets, validation.targets)]:
        if array.shape[1:] != other.shape[1:] or array.dtype != other.dtype:
            raise DataError(
                f"{where}: a train sample is {array.dtype} of shape {array.shape[1:]}, "
                f"a validation sample {other.dtype} of shape {other.shape[1:]}"
            )


def _hash(arrays: list[Array]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
