"""The values that a recipe is made of: optimizers, schedules, data, callbacks.

Plain frozen values without a framework; `toolkit.recipe_checks` checks them, the adapters in
`toolkit.train` give them meaning.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.sample_random import SampleRandom

Array = npt.NDArray[Any]

Augmentation = Callable[[Array, SampleRandom], Array]
"""A function that changes training samples of one input at random.

It takes them as the model would, [n, ...] after preprocessing, and may change them in place; it
returns as many of the same shape and dtype. Each one's result follows from that sample and its own
random numbers alone, never from other samples in the batch or another source of chance."""


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
class Schedule:
    """Linear warm-up, then a constant learning rate; the base of the other schedules.

    Schedules count optimizer steps, which do not depend on the number of workers.

    Attributes:
        warmup_steps: steps over which the rate rises from 0 to its full value.
    """

    warmup_steps: int = 0

    def factor(self, step: int, total: int) -> float:
        """What the learning rate is multiplied by at `step` of `total`."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        return self._after(step - self.warmup_steps, max(1, total - 1 - self.warmup_steps))

    def _after(self, step: int, last: int) -> float:
        """The factor `step` steps after warm-up, of which `last` is the last."""
        return 1.0


@dataclass(frozen=True)
class Cosine(Schedule):
    """Warm-up, then cosine decay to `final` times the learning rate at the last step."""

    final: float = 0.0

    def _after(self, step: int, last: int) -> float:
        done = min(1.0, step / last)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Linear(Schedule):
    """Warm-up, then linear decay to `final` times the learning rate at the last step."""

    final: float = 0.0

    def _after(self, step: int, last: int) -> float:
        return 1 - (1 - self.final) * min(1.0, step / last)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Warm-up, then a multiplication by `decay` after every `every` steps."""

    every: int = 1000
    decay: float = 0.1

    def _after(self, step: int, last: int) -> float:
        return float(self.decay ** (step // self.every))


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when a metric, exact over all ranks, no longer improves.

    Attributes:
        monitor: 'loss', 'val_loss', or 'val_' and one of the recipe's metrics.
        patience: validations without improvement after which training stops.
        min_delta: what counts as improvement, in the metric's unit.
    """

    monitor: str = "val_loss"
    patience: int = 5
    min_delta: float = 0.0


@dataclass(frozen=True)
class PerFramework:
    """A value that each framework makes for itself, such as a loss or an optimizer.

    `keras` and `torch` are functions. For a loss they take nothing and return a function of
    (targets, outputs) for Keras or (outputs, targets) for torch that gives one value a sample,
    shape [batch]. For an optimizer, `keras` takes nothing and `torch` takes the parameters. For a
    train step, both take (model, inputs by name, targets) and return one loss a sample, [batch].
    """

    keras: Callable[..., Any] | None = None
    torch: Callable[..., Any] | None = None


class Callback:
    """What a user wants to do while training runs; every rank has its own.

    A hook sees the framework's own model. Exceptions end the training.
    """

    def on_train_begin(self, model: Any) -> None:
        """Called before the first step, also after a restart."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float], model: Any) -> bool:
        """Called after each epoch, counted from 1; return True on any rank to stop training."""
        return False

    def on_train_end(self, logs: Mapping[str, float], model: Any) -> None:
        """Called after the last step."""


@dataclass(frozen=True)
class Split:
    """Samples and their targets.

    Texts become ids once, in the parent process: workers share arrays of ids, and hold no texts but
    those to validate on, some of which become golden vectors. They are kept as Python's own `str`,
    of 1 to 4 bytes a character. numpy's `<U` takes 4 for each character of the longest text, for
    every sample: 480 MB for 6,000 texts of up to 20,000 characters. A list of `str` is never made
    one. What comes after `length` tokens is not read, so longer texts cost memory only.

    Attributes:
        inputs: array [n, ...], or a mapping of input names to such arrays, before preprocessing.
            Where preprocessing begins with `tokenise`: n texts, a list or an array of `str`.
        targets: array [n] of class numbers, or [n, ...] of values.
        weights: array [n] of factors >= 0 of each sample's loss, or None for 1. The loss stays the
            sum divided by the number of samples, as in Keras. Validation counts all samples alike.
    """

    inputs: Array | Mapping[str, Array]
    targets: Array
    weights: Array | None = None


@dataclass(frozen=True)
class Stream:
    """Samples that need not fit into memory.

    Attributes:
        read: function that returns a `ray.data.Dataset` (such as `ray.data.read_parquet(...)`), a
            `tf.data.Dataset`, or a `torch.utils.data.Dataset`; called on a worker's machine.
        inputs: column (or element) name of each model input, by input name; or the only one's.
            Datasets of (x, y) pairs have the columns 'x' and 'y'.
        target: column of the targets.
        weight: column of sample weights, or None.
        files: path, folder or URL, or several, that `read` reads; records are used again until
            one of them changes. Without it a stream is read at each start.
    """

    read: Callable[[], Any]
    inputs: str | Mapping[str, str] = "x"
    target: str = "y"
    weight: str | None = None
    files: str | Path | Sequence[str | Path] = ()


Policy = Callable[[Any], Array]
"""The model as a player sees it: outputs [n, ...] for raw inputs [n, ...], or for inputs by name.

Outputs depend on how many samples come in one call, in the last bit: a player that makes the same
calls on any number of workers plays the same game."""


@dataclass(frozen=True)
class Rollout:
    """What a player brings from one round.

    Attributes:
        inputs: as in `Split`, before preprocessing.
        targets: array [n, ...] of what the recipe's `train_step` or `loss` takes.
        scores: values by name, an array [0 or more] each, such as the return of each episode;
            their mean over all players is shown, as 'play_' and the name.
    """

    inputs: Array | Mapping[str, Array]
    targets: Array
    scores: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Experience:
    """Samples that come of what the model does: players collect them with the model as it is.

    Training goes in rounds. Each round, every player plays anew with the weights of that time, the
    workers sharing the players among them; then the round's samples are trained on in `passes`
    epochs. Which samples a player brings must follow from the policy, its number and the round's
    alone, and not from the workers or from earlier rounds: so training can go on from a checkpoint,
    and gives the same on any number of workers.

    Attributes:
        play: function of (policy, player, round), both counted from 0, that returns a `Rollout` of
            `samples` / `players` samples.
        example: samples of the same form. The model's shapes are taken from them, and on them
            static quantisation is calibrated: give 100 or more, of states as they come up in use.
        samples: of a round, over all players.
        players: how many there are, on any number of workers; the most workers that play.
        passes: epochs that train on a round's samples.
        scores: names of what rollouts bring as `scores`.
        settle: function that takes all targets [samples, ...] of a round and returns those to train
            on, where that needs all players', such as to normalise advantages; or None.
    """

    play: Callable[[Policy, int, int], Rollout]
    example: Split
    samples: int
    players: int = 8
    passes: int = 1
    scores: tuple[str, ...] = ()
    settle: Callable[[Array], Array] | None = None


@dataclass(frozen=True)
class Data:
    """What a recipe's `data` function returns: samples to learn from and samples to judge by."""

    train: Split | Stream | Experience
    validation: Split | Stream


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


def is_int(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    """Whether `value` is a whole number (no bool) from `low` to `high`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(low <= value <= high)


def is_number(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    """Whether `value` is a finite number (no bool) from `low` to `high`."""
    real = is_int(value) or (isinstance(value, float | np.floating) and math.isfinite(value))
    return real and bool(low <= value <= high)
