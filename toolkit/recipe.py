"""A recipe: everything a user says about a training job, in one Python file.

A recipe file defines `recipe = Recipe(...)`. It holds the data, a builder per framework, and how
to train; checking the data itself belongs to `toolkit.data`, training to `toolkit.train`.
Builders import their framework inside the function, so that one file serves both frameworks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolkit import recipe_checks
from toolkit.specs import (
    SGD,
    Adam,
    Array,
    Augmentation,
    Callback,
    Data,
    EarlyStopping,
    PerFramework,
    Probe,
    Schedule,
)

__all__ = ["FRAMEWORKS", "TITLES", "Array", "Recipe"]

Steps = Sequence[Mapping[str, Any]]

Preprocessing = Steps | Mapping[str, Steps]
"""Steps of the only input, or by input name."""

Augmentations = Sequence[Augmentation] | Mapping[str, Sequence[Augmentation]]
"""Functions of the only input, or by input name; the first comes first."""

FRAMEWORKS = ("tf", "torch")
TITLES = {"tf": "TensorFlow", "torch": "PyTorch"}


@dataclass(frozen=True)
class Recipe:
    """A training job for one or both frameworks.

    Attributes:
        name: letters, digits, '-' and '_'; names the run and the exported files.
        data: function that returns `Data`; called in the parent process, needs no framework.
        keras: function that returns a `keras.Model`.
        torch: function that returns a `torch.nn.Module`.
        loss: one of `recipe_checks.LOSSES` (the cross entropies take logits), or a `PerFramework`.
        metrics: names out of `recipe_checks.METRICS`, exact over the whole validation split.
        optimizer: `SGD`, `Adam`, or a `PerFramework`.
        schedule: `Schedule` (warm-up alone), `Cosine`, `Linear` or `StepDecay`; None leaves the
            learning rate to optimizer and callbacks.
        epochs: passes over the training split.
        global_batch: samples of one optimizer step over all workers.
        seed: of initial weights and sample order.
        preprocessing: steps (see `edge.steps`) for the only input, or a mapping by input name.
            Inputs that are texts begin with `tokenise`; `Split` says how they are kept.
        postprocessing: steps for the first output on the device, such as softmax; training,
            golden vectors and verification are about the output before them.
        augment: functions that change training samples at random after preprocessing, such as
            `Flip()` and `Shift(2)` (see `Augmentation`), or a mapping by input name.
        labels: class names in order, or None.
        probe: a known question and answer.
        decision: 'argmax', 'sign' or 'value'; None takes the one that fits the loss.
        tolerance: for 'value': a distance from the reference that leaves a decision unchanged.
        validate_every: epochs between two validations; the last epoch is always validated.
        golden: how many validation samples are frozen as golden vectors.
        keras_callbacks: function that returns a list of `keras.callbacks.Callback`.
        callbacks: function that returns a list of `toolkit.Callback`, for both frameworks.
        early_stopping: when to stop before the last epoch, or None.
        keep_best: metric (as in `EarlyStopping.monitor`) by which the best epoch's weights become
            the trained model, or None for the last ones.
        train_step: `PerFramework` of (model, inputs, targets) -> losses [batch], instead of the
            model's call and `loss`; validation still uses these.
        class_weights: factor of the loss by class number, or None; multiplied with sample weights.
        accumulate: micro-batches into which a worker cuts its part of a step, to save memory; the
            result stays the same.
        clip_norm: greatest global norm of a step's gradient, or None.
        precision: 'float32', or 'bfloat16' or 'float16' (with loss scaling) to compute in mixed
            precision; weights stay float32.
        sync_batch_norm: make batch normalisation see the whole global batch.
        start_from: weights to start from: the directory of a run, of which each framework takes
            its own model, or a file, '.safetensors' for torch and '.keras' or '.weights.h5' for
            Keras; a path or a mapping of 'tf' and 'torch' to paths, relative to the recipe.
        frozen: patterns (as in `fnmatch`) of Keras layer names or torch parameter names that are
            not trained, or a mapping of 'tf' and 'torch' to such patterns.
        compile: run `torch.compile`; TensorFlow's steps are compiled graphs anyway.
        deterministic: forbid operations whose result differs between equal runs.
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
    schedule: Schedule | None = None
    epochs: int = 1
    global_batch: int = 32
    seed: int = 0
    preprocessing: Preprocessing = ()
    postprocessing: Steps = ()
    augment: Augmentations = ()
    labels: tuple[str, ...] | None = None
    probe: Probe | None = None
    decision: str | None = None
    tolerance: float = 0.05
    validate_every: int = 1
    golden: int = 512
    keras_callbacks: Callable[[], list[Any]] | None = None
    callbacks: Callable[[], list[Callback]] | None = None
    early_stopping: EarlyStopping | None = None
    keep_best: str | None = None
    train_step: PerFramework | None = None
    class_weights: Mapping[int, float] | None = None
    accumulate: int = 1
    clip_norm: float | None = None
    precision: str = "float32"
    sync_batch_norm: bool = False
    start_from: str | Mapping[str, str] | None = None
    frozen: tuple[str, ...] | Mapping[str, tuple[str, ...]] = ()
    compile: bool = False
    deterministic: bool = False
    input_name: str = "input"
    output_name: str = "output"

    def __post_init__(self) -> None:
        recipe_checks.check(self)

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
        return steps_of(self.preprocessing, input_name)

    def augment_for(self, input_name: str) -> tuple[Augmentation, ...]:
        """What changes training samples of one input."""
        given = self.augment
        return tuple(given.get(input_name, ()) if isinstance(given, Mapping) else given)

    def weights_path(self, framework: str) -> str | None:
        """Path of the file or run that `framework` starts from, as the recipe gives it."""
        given = self.start_from
        return given.get(framework) if isinstance(given, Mapping) else given

    def frozen_in(self, framework: str) -> tuple[str, ...]:
        """Patterns of what `framework` does not train."""
        given = self.frozen
        return tuple(given.get(framework, ()) if isinstance(given, Mapping) else given)


def steps_of(preprocessing: Preprocessing, input_name: str) -> list[dict[str, Any]]:
    """The steps of one input, as plain data."""
    given: Any = preprocessing
    if isinstance(given, Mapping):
        given = given.get(input_name, ())
    return [dict(step) for step in given]
