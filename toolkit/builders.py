"""Models out of a recipe's builders, for training and for export alike.

Runs in a process of the model's framework; imports none itself.
"""

from collections.abc import Mapping
from typing import Any

from toolkit.errors import RecipeError
from toolkit.recipe import Recipe


def keras_model(recipe: Recipe, example: Mapping[str, Any]) -> Any:
    """Build the recipe's Keras model, its weights created.

    Args:
        recipe: has a `keras` builder.
        example: inputs by name, each [batch, ...], for a model that learns its shapes by a call.

    Raises:
        RecipeError: the builder raises, or returns something else.
    """
    model = _call(recipe, "keras")
    if not hasattr(model, "trainable_variables"):
        raise RecipeError(_wrong_type(recipe, "keras", "a keras.Model", model))
    if not model.built:
        call_keras(model, example, training=False)
    return model


def call_keras(model: Any, inputs: Mapping[str, Any], *, training: bool) -> Any:
    """Call with the only input as it is, or with several by name."""
    only = next(iter(inputs.values()))
    return model(only if len(inputs) == 1 else dict(inputs), training=training)


def torch_model(recipe: Recipe) -> Any:
    """Build the recipe's torch module.

    Raises:
        RecipeError: the builder raises, or returns something else.
    """
    model = _call(recipe, "torch")
    if not hasattr(model, "named_parameters"):
        raise RecipeError(_wrong_type(recipe, "torch", "a torch.nn.Module", model))
    return model


def _call(recipe: Recipe, field: str) -> Any:
    builder = getattr(recipe, field)
    if builder is None:
        raise RecipeError(f"recipe {recipe.name!r} has no {field!r} builder; add one")
    try:
        return builder()
    except Exception as error:
        raise RecipeError(
            f"recipe {recipe.name!r}, field {field!r}: the builder failed: "
            f"{type(error).__name__}: {error}"
        ) from error


def _wrong_type(recipe: Recipe, field: str, wanted: str, got: Any) -> str:
    return (
        f"recipe {recipe.name!r}, field {field!r}: the builder must return {wanted}, "
        f"not {type(got).__name__}"
    )
