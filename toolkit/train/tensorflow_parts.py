"""What a Keras training is made of: model, optimizer, loss, and what a recipe asks of its layers.

How these are put to work is `tensorflow_step`'s; arrays in and out are `tensorflow_weights`'s.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from toolkit.builders import keras_model
from toolkit.errors import RecipeError, nearest
from toolkit.recipe import Array, Recipe
from toolkit.specs import SGD, Adam, PerFramework

_POLICIES = {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@dataclass(frozen=True)
class Training:
    """What is trained, and where; made inside the strategy's scope.

    Attributes:
        strategy: of tf.distribute.
        model: the Keras model.
        optimizer: built for the model's trainable variables.
        loss: function of (targets, outputs) with one value a sample.
    """

    strategy: Any
    model: Any
    optimizer: Any
    loss: Callable[[Any, Any], Any]

    @property
    def replicas(self) -> int:
        """Model copies over all workers."""
        return int(self.strategy.num_replicas_in_sync)


def training_model(recipe: Recipe, example: Mapping[str, Array]) -> Any:
    """The recipe's model in its precision, with frozen layers and synchronised batch norm.

    Raises:
        RecipeError: the builder fails, `frozen` matches nothing, or nothing is left to train.
    """
    with _precision(recipe):
        model = keras_model(recipe, example)
    _freeze(recipe, model)
    if not model.trainable_variables:
        raise RecipeError(
            f"recipe {recipe.name!r}: the Keras model has nothing to train; leave a layer with "
            "weights out of 'frozen', or add one"
        )
    if recipe.sync_batch_norm:
        for layer in batch_norms(model):
            layer.synchronized = True
    return model


def optimizer(recipe: Recipe) -> Any:
    """The recipe's optimizer, not yet built.

    Raises:
        RecipeError: both the recipe and the optimizer bring a schedule.
    """
    made = _make_optimizer(recipe)
    if recipe.schedule is not None and not hasattr(made.learning_rate, "assign"):
        raise RecipeError(
            f"recipe {recipe.name!r}, field 'schedule': the Keras optimizer has a schedule of its "
            "own; leave one of them out"
        )
    return made


def loss(recipe: Recipe) -> Callable[[Any, Any], Any]:
    """Loss as a function of (targets, outputs) with one value a sample, [batch]."""
    import keras

    if isinstance(recipe.loss, PerFramework):
        assert recipe.loss.keras is not None
        own: Callable[[Any, Any], Any] = recipe.loss.keras()
        return own
    match recipe.loss:
        case "mse":
            return _mean_over_features(lambda y, out: keras.ops.square(out - y))
        case "mae":
            return _mean_over_features(lambda y, out: keras.ops.abs(out - y))
        case "binary_cross_entropy":
            return _mean_over_features(
                lambda y, out: keras.losses.binary_crossentropy(
                    y[..., None], out[..., None], from_logits=True
                )
            )
        case _:
            return lambda y, out: keras.losses.sparse_categorical_crossentropy(
                y, out, from_logits=True
            )


def layers(model: Any) -> list[Any]:
    """All layers inside a model, nested ones too."""
    found: list[Any] = model._flatten_layers(include_self=False)
    return found


def batch_norms(model: Any) -> list[Any]:
    """The batch normalisations inside a model that use the batch's statistics in training."""
    import keras

    kind = keras.layers.BatchNormalization
    return [layer for layer in layers(model) if isinstance(layer, kind) and layer.trainable]


def batch_dependent(recipe: Recipe, model: Any) -> list[str]:
    """Layers whose result depends on how a batch is split, each with the reason."""
    import keras

    reasons = []
    norms = {id(layer) for layer in batch_norms(model)}
    part = "micro-batch" if recipe.accumulate > 1 else "part of the batch"
    for layer in layers(model):
        if id(layer) in norms and not layer.synchronized:
            reasons.append(f"{layer.name} uses the statistics of its own {part}")
        elif id(layer) in norms and recipe.accumulate > 1:
            reasons.append(f"{layer.name} uses the statistics of one micro-batch of all workers")
        if any(isinstance(value, keras.random.SeedGenerator) for value in vars(layer).values()):
            reasons.append(
                f"{layer.name} draws its random numbers for each {part}, the same ones on every "
                "worker"
            )
    return reasons


@contextlib.contextmanager
def _precision(recipe: Recipe) -> Iterator[None]:
    """Make layers that are built in this block compute in the recipe's precision."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_POLICIES.get(recipe.precision, before))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _freeze(recipe: Recipe, model: Any) -> None:
    """Stop training of the layers that match `frozen`; batch norm then works as in inference."""
    names = [layer.name for layer in layers(model)]
    patterns = recipe.frozen_in("tf")
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise RecipeError(
                f"recipe {recipe.name!r}, field 'frozen': {pattern!r} matches no Keras layer; "
                f"{nearest(pattern, names)}"
            )
    for layer in layers(model):
        if any(fnmatchcase(layer.name, pattern) for pattern in patterns):
            layer.trainable = False


def _make_optimizer(recipe: Recipe) -> Any:
    import keras

    spec = recipe.optimizer
    if isinstance(spec, PerFramework):
        assert spec.keras is not None
        return spec.keras()
    if isinstance(spec, SGD):
        return keras.optimizers.SGD(spec.learning_rate, spec.momentum, spec.nesterov)
    assert isinstance(spec, Adam)
    make = keras.optimizers.AdamW if spec.weight_decay else keras.optimizers.Adam
    return make(
        spec.learning_rate,
        beta_1=spec.beta_1,
        beta_2=spec.beta_2,
        epsilon=spec.epsilon,
        weight_decay=spec.weight_decay or None,
    )


def _mean_over_features(values: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    import keras

    def loss(targets: Any, outputs: Any) -> Any:
        each = values(targets, outputs)
        features = tuple(range(1, len(each.shape)))
        return keras.ops.mean(each, axis=features) if features else each

    return loss
