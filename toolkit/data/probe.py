"""Raw inputs as a model takes them, and a recipe's probe as raw inputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from toolkit.card import Card
from toolkit.data import checks
from toolkit.data.samples import prepare
from toolkit.errors import DataError
from toolkit.recipe import Array, Recipe


def preprocess(recipe: Recipe | Card, raw: Mapping[str, Array]) -> dict[str, Array]:
    """Apply a recipe's or card's preprocessing to raw inputs, each [n, ...]."""
    return {name: prepare(name, recipe.steps_for(name), array) for name, array in raw.items()}


def probe_inputs(recipe: Recipe | Card, raw: Mapping[str, Array]) -> dict[str, Array]:
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
    if array.dtype == object:
        return checks.texts(where, [value])
    sample = checks.numbers(where, [value])
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
