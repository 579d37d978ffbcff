"""A split whose arrays are in memory: checked, preprocessed, hashed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.data import checks, identity
from toolkit.data.copies import Place
from toolkit.data.samples import Form, SampleStore
from toolkit.errors import DataError
from toolkit.recipe import Array, Recipe
from toolkit.specs import Split


@dataclass(frozen=True)
class Part:
    """One split.

    Attributes:
        samples: preprocessed.
        raw: its inputs by name, before preprocessing.
        sha256: of all samples.
        place: its records where it was a stream.
        round_samples: of an `Experience`, whose example the samples are; 0 otherwise.
    """

    samples: SampleStore
    raw: Mapping[str, Array]
    sha256: str
    place: Place | None = None
    round_samples: int = 0


def in_memory(recipe: Recipe, name: str, where: str, split: Split) -> Part:
    """Check a split's arrays, and preprocess them.

    Args:
        recipe: whose split it is.
        name: 'train' or 'validation'.
        where: for messages, such as "recipe 'digits', split 'train'".
        split: the arrays.

    Raises:
        DataError: names what is wrong with them.
    """
    inputs = split.inputs
    named = inputs if isinstance(inputs, Mapping) else {recipe.input_name: inputs}
    check_names(recipe, where, named)
    raw = {
        key: checks.raw_input(f"{where}, input {key!r}", value, recipe.steps_for(key))
        for key, value in named.items()
    }
    targets = checks.numbers(f"{where}, targets", split.targets)
    for key, array in raw.items():
        if len(array) != len(targets):
            raise DataError(
                f"{where}: input {key!r} has {len(array)} samples, targets have {len(targets)}"
            )
    checks.targets(recipe, f"{where}, targets", targets, targets.min(), targets.max())
    weights = None if split.weights is None else _weights(where, split.weights, len(targets))
    samples = Form.of(recipe, name, list(raw)).make(raw, targets, weights)
    if samples.weights is not None:
        checks.some_weight(f"{where}, weights", samples.weights.max())
    arrays = [*raw.values(), samples.targets, *([] if weights is None else [weights])]
    return Part(samples, raw, identity.hash_of(arrays))


def _weights(where: str, given: Any, count: int) -> Array:
    weights = checks.numbers(f"{where}, weights", given)
    checks.weights(f"{where}, weights", weights, weights.min())
    if len(weights) != count:
        raise DataError(f"{where}: there are {len(weights)} weights, but {count} targets")
    return weights


def check_names(recipe: Recipe, where: str, inputs: Mapping[str, Any]) -> None:
    """Refuse a split without inputs, or preprocessing for one that there is not."""
    if not inputs:
        raise DataError(f"{where}: has no inputs")
    if isinstance(recipe.preprocessing, Mapping):
        unknown = set(recipe.preprocessing) - set(inputs)
        if unknown:
            raise DataError(
                f"{where}: preprocessing is for {sorted(unknown)}, but there is {sorted(inputs)}"
            )
