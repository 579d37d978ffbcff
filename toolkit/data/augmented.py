"""What a recipe's `augment` makes of training samples, and whether it can be trained with.

Augmented are samples on their way to the model. Validation, golden vectors, calibration and
exported files see them as they are.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from toolkit.data.samples import SampleStore
from toolkit.errors import RecipeError
from toolkit.recipe import Array, Recipe
from toolkit.sample_random import SampleRandom
from toolkit.specs import Augmentation

_TRIED = 8  # samples that `check` takes


class Augmenter:
    """The augmentations of a recipe by input.

    Args:
        recipe: whose they are.
        names: of the inputs, in order.
    """

    def __init__(self, recipe: Recipe, names: Sequence[str]) -> None:
        self._recipe = recipe
        self._functions = {
            (place, name): functions
            for place, name in enumerate(names)
            if (functions := recipe.augment_for(name))
        }

    def apply(
        self, inputs: Mapping[str, Array], ids: Array, epochs: Sequence[int]
    ) -> Mapping[str, Array]:
        """The inputs as they are trained on.

        Args:
            inputs: by name, each [steps, batch, ...]; arrays may be changed.
            ids: of the samples, [steps, batch].
            epochs: of the steps, counted from 0.

        Raises:
            RecipeError: a function fails, or returns something else than it should.
        """
        changed = dict(inputs)
        for (place, name), functions in self._functions.items():
            array = inputs[name].reshape(-1, *inputs[name].shape[2:])
            for index, function in enumerate(functions):
                random = SampleRandom.of(self._recipe.seed, epochs, ids, (place, index))
                array = self._call(name, function, array, random)
            changed[name] = array.reshape(inputs[name].shape)
        return changed

    def _call(self, name: str, function: Augmentation, array: Array, random: SampleRandom) -> Array:
        title = getattr(function, "__name__", type(function).__name__)
        form = (array.shape, array.dtype)
        try:
            result = function(array, random)
        except Exception as error:
            problem = f"{title} failed: {type(error).__name__}: {error}"
            raise _fail(self._recipe, name, problem) from error
        if not isinstance(result, np.ndarray) or (result.shape, result.dtype) != form:
            found = f"{getattr(result, 'dtype', type(result).__name__)} {np.shape(result)}"
            problem = f"{title} must return what it is given, {form[1]} {form[0]}, not {found}"
            raise _fail(self._recipe, name, problem)
        return result


def check(recipe: Recipe, samples: SampleStore) -> None:
    """Try a recipe's augmentations on a few samples, so that bad ones cost no start of workers.

    Raises:
        RecipeError: they are for an input that there is not, fail, make NaN or infinity, or give
            a sample other values in another batch.
    """
    if not recipe.augment:
        return
    names = list(samples.example())
    unknown = set(recipe.augment) - set(names) if isinstance(recipe.augment, Mapping) else ()
    if unknown:
        raise RecipeError(
            f"recipe {recipe.name!r}, field 'augment': is for {sorted(unknown)}, but there is "
            f"{sorted(names)}"
        )
    ids, augmenter = np.arange(min(_TRIED, len(samples))), Augmenter(recipe, names)
    whole, *single = (
        augmenter.apply(samples.take(part[None]).inputs, part[None], [0])
        for part in [ids, *ids[:, None]]
    )
    for name in names:
        if not np.isfinite(whole[name]).all():
            raise _fail(recipe, name, "makes NaN or infinity")
        alone = np.concatenate([each[name] for each in single], 1)
        if not np.allclose(whole[name], alone, rtol=1e-4, atol=1e-5):
            problem = (
                "gives a sample other values in another batch, so that they would depend on the "
                "number of workers; take chance from the second argument alone, and nothing from "
                "other samples"
            )
            raise _fail(recipe, name, problem)


def _fail(recipe: Recipe, name: str, problem: str) -> RecipeError:
    return RecipeError(f"recipe {recipe.name!r}, field 'augment', input {name!r}: {problem}")
