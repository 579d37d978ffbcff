"""What a model is worth: exact validation, golden vectors, and outputs that cannot be judged."""

from collections.abc import Callable

import numpy as np

from edge import steps
from edge.errors import InputError
from toolkit.artifacts import Golden
from toolkit.data.load import Dataset, Samples, SampleStore
from toolkit.data.metrics import scores
from toolkit.data.plan import shard_bounds
from toolkit.errors import RecipeError, ToolkitError
from toolkit.recipe import Array, Recipe
from toolkit.train.adapter import Adapter

_BATCH = 256


def evaluate(
    adapter: Adapter, samples: SampleStore, epoch: int, tick: Callable[[], None]
) -> dict[str, float]:
    """Loss and metrics over the whole split: each sample once, summed over all ranks.

    `tick` is called for each batch.

    Raises:
        ToolkitError: outputs or loss became NaN or infinite, by `epoch`; on every rank alike.
    """
    recipe, place = adapter.recipe, adapter.place
    start, stop = shard_bounds(len(samples), place.rank, place.world)
    sums = np.zeros(1 + len(recipe.metrics))
    for low in range(start, stop, _BATCH):
        tick()
        part = samples.take(slice(low, min(stop, low + _BATCH)))
        outputs = adapter.predict(part.inputs)
        if not np.isfinite(outputs).all():  # metrics may refuse these; the other ranks must know
            sums[:] = np.nan
            break
        sums[0] += adapter.losses(outputs, part.targets).sum(dtype=np.float64)
        for index, metric in enumerate(recipe.metrics, start=1):
            sums[index] += scores(metric, outputs, part.targets, recipe.decides_by).sum()
    means = adapter.all_sum(sums) / len(samples)
    if not np.isfinite(means).all():
        raise diverged(epoch)
    names = ["val_loss", *(f"val_{metric}" for metric in recipe.metrics)]
    return dict(zip(names, means.tolist(), strict=True))


def head(samples: SampleStore) -> Samples:
    """Two samples, which may be the same: enough to see shapes."""
    return samples.take(np.arange(2) % len(samples))


def diverged(epoch: int) -> ToolkitError:
    """The error that ends a training whose numbers are none any more."""
    return ToolkitError(
        f"the loss became NaN or infinite in epoch {epoch}; lower the learning rate, or check the "
        "data for extreme values"
    )


def golden(adapter: Adapter, dataset: Dataset) -> Golden:
    """Freeze evenly spread validation samples with the trained model's answers."""
    total = len(dataset.validation)
    ids = np.linspace(0, total - 1, min(adapter.recipe.golden, total)).round().astype(int)
    part = dataset.validation.take(ids)
    parts = range(0, len(ids), _BATCH)
    outputs = [adapter.predict(part.take(slice(i, i + _BATCH)).inputs) for i in parts]
    raw = {name: array[ids] for name, array in dataset.raw.items()}
    return Golden(raw, {adapter.recipe.output_name: np.concatenate(outputs)}, part.targets)


def check_shapes(adapter: Adapter, dataset: Dataset) -> None:
    """Refuse outputs that do not fit targets or postprocessing, before anything is trained.

    Raises:
        RecipeError: the loss would broadcast them or miss a class, a metric cannot score them, or
            a step does not take them.
    """
    recipe, few = adapter.recipe, head(dataset.train)
    outputs = adapter.predict(few.inputs)
    if isinstance(recipe.loss, str):
        _check_loss(recipe, outputs.shape, dataset, few)
    for metric in recipe.metrics:
        try:
            scores(metric, np.zeros_like(outputs), few.targets, recipe.decides_by)
        except (ValueError, InputError) as error:
            raise RecipeError(
                f"recipe {recipe.name!r}, field 'metrics': {metric!r} cannot score outputs of "
                f"shape {_shape(outputs.shape)} with these targets: {error}"
            ) from error
    _check_postprocessing(recipe, np.zeros_like(outputs))


def _check_postprocessing(recipe: Recipe, outputs: Array) -> None:
    try:
        steps.apply([dict(step) for step in recipe.postprocessing], outputs)
    except InputError as error:
        raise RecipeError(
            f"recipe {recipe.name!r}, field 'postprocessing': does not take outputs of shape "
            f"{_shape(outputs.shape)}: {error}"
        ) from error


def _check_loss(recipe: Recipe, got: tuple[int, ...], dataset: Dataset, few: Samples) -> None:
    if recipe.loss == "cross_entropy":
        splits = (dataset.train, dataset.validation)
        classes = len(recipe.labels or ()) or max(split.classes() for split in splits)
        fits = len(got) == 2 and (got[1] == classes if recipe.labels else got[1] >= classes)
        wanted: tuple[int, ...] = (0, classes)
    else:
        wanted = (0, *few.targets.shape[1:])
        fits = got[1:] == wanted[1:]
    if not fits:
        raise RecipeError(
            f"recipe {recipe.name!r}: the model's output has shape {_shape(got)}, but loss "
            f"{recipe.loss!r} with these targets needs {_shape(wanted)}; change the last layer"
        )


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(['batch', *map(str, shape[1:])])})"
