"""Whether a recipe's fields make sense, field by field, before anything is started."""

import json
import re
from collections.abc import Mapping
from typing import Any

from edge import steps as edge_steps
from edge.errors import EdgeError
from edge.manifest import LIMIT
from toolkit.errors import RecipeError, nearest
from toolkit.specs import (
    SGD,
    Adam,
    Cosine,
    EarlyStopping,
    Linear,
    PerFramework,
    Probe,
    Schedule,
    StepDecay,
    is_int,
    is_number,
)

LOSSES = ("mse", "mae", "cross_entropy", "binary_cross_entropy")
METRICS = ("accuracy", "mse", "mae")
DECISIONS = ("argmax", "sign", "value")
PRECISIONS = ("float32", "bfloat16", "float16")

_MAX_STEPS_BYTES = LIMIT - (64 << 10)  # what else a manifest says is small


def check(recipe: Any) -> None:
    """Check a `toolkit.Recipe`.

    Raises:
        RecipeError: names the field and what it should be.
    """
    _check_name(recipe)
    _check_functions(recipe)
    _check_numbers(recipe)
    _check_choices(recipe)
    _check_per_framework(recipe)
    _check_optimizer(recipe)
    _check_schedule(recipe)
    _check_values(recipe)
    _check_stopping(recipe)
    _check_weights(recipe)
    _check_steps(recipe)
    _check_augment(recipe)


def _fail(recipe: Any, name: str, problem: str) -> RecipeError:
    title = recipe.name if isinstance(recipe.name, str) else "?"
    return RecipeError(f"recipe {title!r}, field {name!r}: {problem}")


def _require(recipe: Any, name: str, good: bool, wanted: str) -> None:
    if not good:
        raise _fail(recipe, name, f"must be {wanted}, not {getattr(recipe, name)!r:.80}")


def _check_name(recipe: Any) -> None:
    for name in ("name", "input_name", "output_name"):
        value = getattr(recipe, name)
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", value):
            raise _fail(recipe, name, "must be 1-64 letters, digits, '-' or '_'")


def _check_functions(recipe: Any) -> None:
    _require(recipe, "data", callable(recipe.data), "a function that returns toolkit.Data")
    for name in ("keras", "torch", "keras_callbacks", "callbacks"):
        value = getattr(recipe, name)
        _require(recipe, name, value is None or callable(value), "a function")
    if not recipe.frameworks:
        raise _fail(recipe, "keras", "give a builder in 'keras', in 'torch', or in both")


def _check_numbers(recipe: Any) -> None:
    for name in ("epochs", "global_batch", "validate_every", "golden", "accumulate"):
        _require(recipe, name, is_int(getattr(recipe, name), 1), "a whole number >= 1")
    _require(recipe, "seed", is_int(recipe.seed, 0, 2**31 - 1), "a whole number, 0 to 2**31-1")
    _require(recipe, "tolerance", is_number(recipe.tolerance, 0), "a number >= 0")
    clip = recipe.clip_norm
    good = clip is None or (is_number(clip, 0) and clip > 0)
    _require(recipe, "clip_norm", good, "None or a number > 0")
    for name in ("sync_batch_norm", "compile", "deterministic"):
        _require(recipe, name, isinstance(getattr(recipe, name), bool), "True or False")


def _check_choices(recipe: Any) -> None:
    if not isinstance(recipe.loss, PerFramework):
        _check_choice(recipe, "loss", recipe.loss, LOSSES)
    _require(recipe, "metrics", isinstance(recipe.metrics, tuple | list), "a tuple of names")
    for metric in recipe.metrics:
        _check_choice(recipe, "metrics", metric, METRICS)
    _check_choice(recipe, "decision", recipe.decides_by, DECISIONS)
    _check_choice(recipe, "precision", recipe.precision, PRECISIONS)


def _check_per_framework(recipe: Any) -> None:
    step = recipe.train_step
    good = step is None or isinstance(step, PerFramework)
    _require(recipe, "train_step", good, "None or toolkit.PerFramework")
    for name in ("loss", "optimizer", "train_step"):
        value = getattr(recipe, name)
        for framework, builder in (("tf", "keras"), ("torch", "torch")):
            missing = isinstance(value, PerFramework) and getattr(value, builder) is None
            if missing and framework in recipe.frameworks:
                raise _fail(recipe, name, f"has no {builder!r} function, but the recipe has one")


def _check_choice(recipe: Any, name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise _fail(recipe, name, f"{value!r} is not known; {nearest(str(value), known)}")


def _check_optimizer(recipe: Any) -> None:
    known = isinstance(recipe.optimizer, SGD | Adam | PerFramework)
    _require(recipe, "optimizer", known, "toolkit.SGD, toolkit.Adam or toolkit.PerFramework")
    if isinstance(recipe.optimizer, PerFramework):
        return
    numbers = dict(vars(recipe.optimizer))
    nesterov = numbers.pop("nesterov", False)
    for name, value in numbers.items():
        share = name in ("momentum", "beta_1", "beta_2")
        if not is_number(value, 0) or (share and value >= 1):
            limit = "from 0 to below 1" if share else ">= 0"
            raise _fail(recipe, f"optimizer.{name}", f"must be a number {limit}, not {value!r}")
    if not isinstance(nesterov, bool) or (nesterov and numbers["momentum"] == 0):
        raise _fail(recipe, "optimizer.nesterov", "must be False, or True with a momentum > 0")


def _check_schedule(recipe: Any) -> None:
    value: Any = recipe.schedule
    good = value is None or (isinstance(value, Schedule) and is_int(value.warmup_steps, 0))
    if isinstance(value, Cosine | Linear):
        good = good and is_number(value.final, 0, 1)
    if isinstance(value, StepDecay):
        good = good and is_int(value.every, 1) and is_number(value.decay, 0, 1)
    wanted = (
        "None or one of Schedule, Cosine, Linear, StepDecay with 'warmup_steps' >= 0, 'final' and "
        "'decay' 0 to 1, 'every' >= 1"
    )
    _require(recipe, "schedule", good, wanted)


def _check_stopping(recipe: Any) -> None:
    known = ("loss", "val_loss", *(f"val_{metric}" for metric in recipe.metrics))
    value: Any = recipe.early_stopping
    if value is not None:
        good = isinstance(value, EarlyStopping) and is_int(value.patience, 1)
        good = good and is_number(value.min_delta, 0)
        wanted = "None or EarlyStopping, 'patience' >= 1 and 'min_delta' >= 0"
        _require(recipe, "early_stopping", good, wanted)
        _check_choice(recipe, "early_stopping.monitor", value.monitor, known)
    if recipe.keep_best is not None:
        _check_choice(recipe, "keep_best", recipe.keep_best, known)


def _check_weights(recipe: Any) -> None:
    value: Any = recipe.class_weights
    good = value is None or (
        isinstance(value, Mapping)
        and all(is_int(key, 0) and is_number(factor, 0) for key, factor in value.items())
    )
    _require(recipe, "class_weights", good, "None or class numbers with factors >= 0")
    if value is not None and recipe.loss != "cross_entropy":
        raise _fail(recipe, "class_weights", "needs loss 'cross_entropy'")
    value = recipe.frozen
    groups = value if isinstance(value, Mapping) else {"tf": value, "torch": value}
    good = set(groups) <= {"tf", "torch"} and all(
        isinstance(group, tuple | list) and all(isinstance(name, str) for name in group)
        for group in groups.values()
    )
    _require(recipe, "frozen", good, "a tuple of texts, or a mapping of 'tf', 'torch' to tuples")
    value = recipe.start_from
    paths = value if isinstance(value, Mapping) else {"tf": value, "torch": value}
    good = set(paths) <= {"tf", "torch"}
    good = good and all(path is None or isinstance(path, str) for path in paths.values())
    _require(recipe, "start_from", good, "None, a path, or a mapping of 'tf', 'torch' to paths")


def _check_values(recipe: Any) -> None:
    value: Any = recipe.labels
    good = isinstance(value, tuple | list) and all(isinstance(label, str) for label in value)
    _require(recipe, "labels", good or value is None, "None or a tuple of texts")
    value = recipe.probe
    good = isinstance(value, Probe) and is_number(value.expected)
    good = (good and is_number(value.tolerance, 0)) or value is None
    _require(recipe, "probe", good, "None or Probe, 'expected' finite and 'tolerance' >= 0")


def _check_steps(recipe: Any) -> None:
    given = recipe.preprocessing
    pipelines = given.values() if isinstance(given, Mapping) else [given]
    size = sum(_check_pipeline(recipe, "preprocessing", each) for each in pipelines)
    size += _check_pipeline(recipe, "postprocessing", recipe.postprocessing)
    if edge_steps.takes_text(recipe.postprocessing):
        raise _fail(recipe, "postprocessing", "tokenise takes texts, and outputs are numbers")
    if size > _MAX_STEPS_BYTES:
        problem = f"{size} bytes as JSON, over the limit of {_MAX_STEPS_BYTES}: each exported file "
        raise _fail(recipe, "preprocessing", problem + "carries it; shorten the vocabulary")


def _check_pipeline(recipe: Any, name: str, pipeline: Any) -> int:
    """The bytes of the steps in a manifest."""
    try:
        plain = [dict(step) for step in pipeline]
        edge_steps.check(plain)
        size = len(json.dumps({name: {"": plain}}, indent=1))
    except (EdgeError, TypeError, ValueError) as error:
        raise _fail(recipe, name, str(error)) from error
    if any(isinstance(step.get("vocabulary"), Mapping) for step in plain):
        raise _fail(recipe, name, "give the vocabulary's tokens; only a bundle can name a member")
    return size


def _check_augment(recipe: Any) -> None:
    given = recipe.augment
    groups = given.values() if isinstance(given, Mapping) else [given]
    good = all(
        isinstance(group, tuple | list) and all(map(_is_augmentation, group)) for group in groups
    )
    wanted = "a tuple of functions of (array, random), such as (Flip(), Shift(2)), or a mapping of "
    _require(recipe, "augment", good, wanted + "input names to such tuples")


def _is_augmentation(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)  # Flip() is one, Flip is not
