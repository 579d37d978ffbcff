"""A recipe: everything a user says about a training job, in one Python file.

A recipe file defines `recipe = Recipe(...)`. It holds the data, a builder per framework, and how
to train; checking the data itself belongs to `toolkit.data`, training to `toolkit.train`.
Builders import their framework inside the function, so that one file serves both frameworks.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edge import steps as edge_steps
from edge.errors import EdgeError
from toolkit.errors import RecipeError, nearest

Array = npt.NDArray[Any]
Steps = Sequence[Mapping[str, Any]]

FRAMEWORKS = ("tf", "torch")
TITLES = {"tf": "TensorFlow", "torch": "PyTorch"}
LOSSES = ("mse", "mae", "cross_entropy", "binary_cross_entropy")
METRICS = ("accuracy", "mse", "mae")
DECISIONS = ("argmax", "sign", "value")


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, the same update in both frameworks."""

    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba, 2015); `weight_decay` > 0 makes it AdamW."""

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Cosine:
    """Linear warm-up, then cosine decay of the learning rate, counted in optimizer steps.

    Attributes:
        warmup_steps: steps over which the rate rises from 0 to its full value.
        final: factor of the learning rate at the last step, 0 to 1.
    """

    warmup_steps: int = 0
    final: float = 0.0

    def factor(self, step: int, total: int) -> float:
        """What the learning rate is multiplied by at `step` of `total`."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, total - 1 - self.warmup_steps)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


@dataclass(frozen=True)
class PerFramework:
    """A value that each framework makes for itself, such as a loss or an optimizer.

    `keras` and `torch` are functions. For a loss they take nothing and return a function of
    (targets, outputs) for Keras or (outputs, targets) for torch that gives one value a sample,
    shape [batch]. For an optimizer, `keras` takes nothing and `torch` takes the parameters.
    """

    keras: Callable[..., Any] | None = None
    torch: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Split:
    """Samples and their targets.

    Attributes:
        inputs: array [n, ...], or a mapping of input names to such arrays, before preprocessing.
        targets: array [n] of class numbers, or [n, ...] of values.
    """

    inputs: Array | Mapping[str, Array]
    targets: Array


@dataclass(frozen=True)
class Data:
    """What a recipe's `data` function returns: samples to learn from and samples to judge by."""

    train: Split
    validation: Split


@dataclass(frozen=True)
class Probe:
    """One raw input and the answer that a trained model must give for it.

    Attributes:
        input: one raw sample (or a mapping of input names to one), without a batch dimension.
        expected: a value, or the class number where the recipe decides by argmax or sign.
        tolerance: greatest allowed distance from `expected`, in the output's unit.
    """

    input: Any
    expected: float | int
    tolerance: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """A training job for one or both frameworks.

    Attributes:
        name: letters, digits, '-' and '_'; names the run and the exported files.
        data: function that returns `Data`; called in the parent process, needs no framework.
        keras: function that returns a `keras.Model`.
        torch: function that returns a `torch.nn.Module`.
        loss: one of LOSSES (the cross entropies take logits), or a `PerFramework`.
        metrics: names out of METRICS, computed exactly over the whole validation split.
        optimizer: `SGD`, `Adam`, or a `PerFramework`.
        schedule: how the learning rate changes, or None to leave it to optimizer and callbacks.
        epochs: passes over the training split.
        global_batch: samples of one optimizer step over all workers.
        seed: of initial weights and sample order.
        preprocessing: steps (see `edge.steps`) for the only input, or a mapping by input name.
        labels: class names in order, or None.
        probe: a known question and answer.
        decision: 'argmax', 'sign' or 'value'; None takes the one that fits the loss.
        tolerance: for 'value': a distance from the reference that leaves a decision unchanged.
        validate_every: epochs between two validations; the last epoch is always validated.
        golden: how many validation samples are frozen as golden vectors.
        keras_callbacks: function that returns a list of `keras.callbacks.Callback`.
        input_name: name of the only input where `Split.inputs` is an array.
        output_name: name of the output.
    """

    name: str
    data: Callable[[], Data]
    keras: Callable[[], Any] | None = None
    torch: Callable[[], Any] | None = None
    loss: str | PerFramework = "mse"
    metrics: tuple[str, ...] = ()
    optimizer: SGD | Adam | PerFramework = field(default_factory=SGD)
    schedule: Cosine | None = None
    epochs: int = 1
    global_batch: int = 32
    seed: int = 0
    preprocessing: Steps | Mapping[str, Steps] = ()
    labels: tuple[str, ...] | None = None
    probe: Probe | None = None
    decision: str | None = None
    tolerance: float = 0.05
    validate_every: int = 1
    golden: int = 512
    keras_callbacks: Callable[[], list[Any]] | None = None
    input_name: str = "input"
    output_name: str = "output"

    def __post_init__(self) -> None:
        _check_name(self)
        _check_functions(self)
        _check_numbers(self)
        _check_choices(self)
        _check_optimizer(self)
        _check_values(self)
        _check_preprocessing(self)

    @property
    def frameworks(self) -> tuple[str, ...]:
        """The frameworks this recipe has a builder for, out of FRAMEWORKS."""
        builders = {"tf": self.keras, "torch": self.torch}
        return tuple(name for name in FRAMEWORKS if builders[name] is not None)

    @property
    def decides_by(self) -> str:
        """How an output becomes an answer: 'argmax', 'sign' or 'value'."""
        if self.decision is not None:
            return self.decision
        by_loss = {"cross_entropy": "argmax", "binary_cross_entropy": "sign"}
        return by_loss.get(self.loss, "value") if isinstance(self.loss, str) else "value"

    def steps_for(self, input_name: str) -> list[dict[str, Any]]:
        """Preprocessing steps of one input, as plain data."""
        steps: Any = self.preprocessing
        if isinstance(steps, Mapping):
            steps = steps.get(input_name, ())
        return [dict(step) for step in steps]


def _fail(recipe: Recipe, name: str, problem: str) -> RecipeError:
    title = recipe.name if isinstance(recipe.name, str) else "?"
    return RecipeError(f"recipe {title!r}, field {name!r}: {problem}")


def _require(recipe: Recipe, name: str, good: bool, wanted: str) -> None:
    if not good:
        raise _fail(recipe, name, f"must be {wanted}, not {getattr(recipe, name)!r:.80}")


def _check_name(recipe: Recipe) -> None:
    for name in ("name", "input_name", "output_name"):
        value = getattr(recipe, name)
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", value):
            raise _fail(recipe, name, "must be 1-64 letters, digits, '-' or '_'")


def _check_functions(recipe: Recipe) -> None:
    _require(recipe, "data", callable(recipe.data), "a function that returns toolkit.Data")
    for name in ("keras", "torch", "keras_callbacks"):
        value = getattr(recipe, name)
        _require(recipe, name, value is None or callable(value), "a function")
    if not recipe.frameworks:
        raise _fail(recipe, "keras", "give a builder in 'keras', in 'torch', or in both")


def _check_numbers(recipe: Recipe) -> None:
    for name in ("epochs", "global_batch", "validate_every", "golden"):
        _require(recipe, name, _is_int(getattr(recipe, name), 1), "a whole number >= 1")
    _require(recipe, "seed", _is_int(recipe.seed, 0, 2**31 - 1), "a whole number, 0 to 2**31-1")
    _require(recipe, "tolerance", _is_number(recipe.tolerance, 0), "a number >= 0")


def _check_choices(recipe: Recipe) -> None:
    if not isinstance(recipe.loss, PerFramework):
        _check_choice(recipe, "loss", recipe.loss, LOSSES)
    _require(recipe, "metrics", isinstance(recipe.metrics, tuple | list), "a tuple of names")
    for metric in recipe.metrics:
        _check_choice(recipe, "metrics", metric, METRICS)
    _check_choice(recipe, "decision", recipe.decides_by, DECISIONS)
    for name in ("loss", "optimizer"):
        value = getattr(recipe, name)
        for framework, builder in (("tf", "keras"), ("torch", "torch")):
            missing = isinstance(value, PerFramework) and getattr(value, builder) is None
            if missing and framework in recipe.frameworks:
                raise _fail(recipe, name, f"has no {builder!r} function, but the recipe has one")


def _check_choice(recipe: Recipe, name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise _fail(recipe, name, f"{value!r} is not known; {nearest(str(value), known)}")


def _check_optimizer(recipe: Recipe) -> None:
    known = isinstance(recipe.optimizer, SGD | Adam | PerFramework)
    _require(recipe, "optimizer", known, "toolkit.SGD, toolkit.Adam or toolkit.PerFramework")
    if isinstance(recipe.optimizer, PerFramework):
        return
    numbers = dict(vars(recipe.optimizer))
    nesterov = numbers.pop("nesterov", False)
    for name, value in numbers.items():
        share = name in ("momentum", "beta_1", "beta_2")
        if not _is_number(value, 0) or (share and value >= 1):
            limit = "from 0 to below 1" if share else ">= 0"
            raise _fail(recipe, f"optimizer.{name}", f"must be a number {limit}, not {value!r}")
    if not isinstance(nesterov, bool) or (nesterov and numbers["momentum"] == 0):
        raise _fail(recipe, "optimizer.nesterov", "must be False, or True with a momentum > 0")


def _check_values(recipe: Recipe) -> None:
    value: Any = recipe.labels
    good = isinstance(value, tuple | list) and all(isinstance(label, str) for label in value)
    _require(recipe, "labels", good or value is None, "None or a tuple of texts")
    value = recipe.schedule
    good = isinstance(value, Cosine) and _is_int(value.warmup_steps, 0)
    good = (good and _is_number(value.final, 0, 1)) or value is None
    _require(recipe, "schedule", good, "None or Cosine, 'warmup_steps' >= 0 and 'final' 0 to 1")
    value = recipe.probe
    good = isinstance(value, Probe) and _is_number(value.expected)
    good = (good and _is_number(value.tolerance, 0)) or value is None
    _require(recipe, "probe", good, "None or Probe, 'expected' finite and 'tolerance' >= 0")


def _check_preprocessing(recipe: Recipe) -> None:
    given = recipe.preprocessing
    for pipeline in given.values() if isinstance(given, Mapping) else [given]:
        try:
            edge_steps.check([dict(step) for step in pipeline])
        except (EdgeError, TypeError, ValueError) as error:
            raise _fail(recipe, "preprocessing", str(error)) from error


def _is_int(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(low <= value <= high)


def _is_number(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    real = _is_int(value) or (isinstance(value, float | np.floating) and math.isfinite(value))
    return real and bool(low <= value <= high)
