"""What players bring: whether it can be trained on, and as samples."""

from typing import Any

import numpy as np

from toolkit.data.arrays import in_memory
from toolkit.data.samples import Samples
from toolkit.errors import DataError
from toolkit.recipe import Array, Recipe
from toolkit.specs import Experience, Rollout, Split, is_int


def check_experience(where: str, given: Experience) -> None:
    """Check what an experience says of itself.

    Raises:
        DataError: names the field and what it should be.
    """
    for name in ("play", "settle"):
        value = getattr(given, name)
        if not callable(value) and not (value is None and name == "settle"):
            raise DataError(f"{where}: Experience.{name} must be a function, not {value!r:.80}")
    example: Any = given.example
    if not isinstance(example, Split):
        kind = type(example).__name__
        raise DataError(f"{where}: Experience.example must be toolkit.Split, not {kind}")
    for name in ("samples", "players", "passes"):
        if not is_int(value := getattr(given, name), 1):
            raise DataError(f"{where}: Experience.{name} must be a whole number >= 1, not {value}")
    if given.samples % given.players:
        raise DataError(
            f"{where}: Experience.samples, {given.samples}, must be a multiple of the "
            f"{given.players} players, who all bring the same number"
        )
    scores = given.scores
    if not isinstance(scores, tuple | list) or not all(isinstance(name, str) for name in scores):
        raise DataError(f"{where}: Experience.scores must be a tuple of names, not {scores!r:.80}")


def samples_of(
    recipe: Recipe, experience: Experience, example: Samples, rollout: object, where: str
) -> tuple[Samples, dict[str, Array]]:
    """A player's samples, checked and preprocessed, and its scores by name, each [0 or more].

    Args:
        recipe: whose training it is.
        experience: what was asked for.
        example: samples that these must be like.
        rollout: what the player returned.
        where: for messages, such as "recipe 'cartpole', player 3, round 0".

    Raises:
        DataError: names what is wrong with them.
    """
    if not isinstance(rollout, Rollout):
        kind = type(rollout).__name__
        raise DataError(f"{where}: 'play' must return toolkit.Rollout, not {kind}")
    split = Split(rollout.inputs, rollout.targets)
    samples = in_memory(recipe, "train", where, split).samples.take(slice(None))
    wanted = experience.samples // experience.players
    if len(samples) != wanted:
        raise DataError(
            f"{where}: brought {len(samples)} samples, and must bring {wanted}: the "
            f"{experience.samples} of a round by {experience.players} players"
        )
    _check_form(samples, example, where)
    return samples.ordered(list(example.inputs)), _scores(experience, rollout, where)


def checked_targets(given: object, before: Array, where: str) -> Array:
    """What `Experience.settle` made of a round's targets.

    Raises:
        DataError: it has another shape or holds NaN or infinity.
    """
    targets = np.asarray(given)
    if targets.shape != before.shape:
        raise DataError(
            f"{where}: 'settle' must return targets of shape {before.shape}, not {targets.shape}"
        )
    if targets.dtype.kind not in "fiu" or not np.isfinite(targets).all():
        raise DataError(f"{where}: 'settle' must return finite numbers")
    return targets.astype(before.dtype, copy=False)


def _check_form(samples: Samples, example: Samples, where: str) -> None:
    if set(samples.inputs) != set(example.inputs):
        raise DataError(
            f"{where}: brought the inputs {sorted(samples.inputs)}, but Experience.example has "
            f"{sorted(example.inputs)}"
        )
    pairs = [
        (f"input {name!r}", array, samples.inputs[name]) for name, array in example.inputs.items()
    ]
    for what, known, array in [*pairs, ("targets", example.targets, samples.targets)]:
        if array.shape[1:] != known.shape[1:] or array.dtype != known.dtype:
            raise DataError(
                f"{where}, {what}: a sample is {array.dtype} of shape {array.shape[1:]}, in "
                f"Experience.example {known.dtype} of shape {known.shape[1:]}"
            )


def _scores(experience: Experience, rollout: Rollout, where: str) -> dict[str, Array]:
    if set(rollout.scores) != set(experience.scores):
        raise DataError(
            f"{where}: brought the scores {sorted(rollout.scores)}, but Experience.scores names "
            f"{sorted(experience.scores)}"
        )
    scores = {
        name: np.asarray(rollout.scores[name], np.float64).ravel() for name in experience.scores
    }
    for name, values in scores.items():
        if not np.isfinite(values).all():
            raise DataError(f"{where}: the score {name!r} is NaN or infinite")
    return scores
