"""The training loop: the same for both frameworks, and without Ray.

It walks the sample plan in chunks of steps, evaluates exactly over all ranks, and yields what
happened. The adapter does the arithmetic.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolkit.artifacts import Golden
from toolkit.data.load import Dataset, Samples
from toolkit.data.metrics import scores
from toolkit.data.plan import SamplePlan, shard_bounds
from toolkit.errors import RecipeError, ToolkitError
from toolkit.recipe import Array, Recipe
from toolkit.train.adapter import Adapter, Chunk

_CHUNK_BYTES = 32 * 2**20
_CHUNK_STEPS = 256
_EVAL_BATCH = 256

Row = dict[str, Any]


@dataclass(frozen=True)
class Progress:
    """What happened since the last report; `rows` has one entry for each finished epoch."""

    step: int
    steps: int
    epoch: int
    loss: float
    samples_per_second: float
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """What rank 0 hands over at the end.

    Attributes:
        files: the model's files by name.
        golden: golden vectors as .npz bytes.
        metrics: the last epoch's row.
        facts: steps, seconds and the like, for run.json.
    """

    files: Mapping[str, bytes]
    golden: bytes
    metrics: Row
    facts: Mapping[str, Any]


def fit(adapter: Adapter, dataset: Dataset) -> Iterator[Progress | Trained]:
    """Train to the end of the recipe; yield progress, and at last the trained model.

    Raises:
        RecipeError: outputs and targets do not fit.
        ToolkitError: the loss became NaN or infinite.
    """
    recipe, epochs = adapter.recipe, adapter.recipe.epochs
    check_shapes(adapter, dataset.train)
    plan = SamplePlan(len(dataset.train), recipe.global_batch, recipe.seed)
    clock, losses = _Clock(), np.zeros(0)
    rows: list[Row] = []
    last: Row = {}
    adapter.train_begin(epochs)
    events = range(1, epochs + 1) if adapter.wants_epochs else _validation_epochs(recipe)
    limit = _chunk_limit(dataset.train, plan, adapter)
    for first, end in chunks(plan, epochs, set(events), limit):
        with clock.training(plan, first, end):
            parts = [
                _gather(adapter, dataset.train, plan, first, end, i) for i in _replicas(adapter)
            ]
            losses = np.concatenate([losses, adapter.all_sum(adapter.train(parts))])
        _check_finite(losses, first, plan)
        rows = list(_finished_epochs(plan, losses, end))
        losses = losses[len(rows) * plan.steps_per_epoch :]
        epoch = end // plan.steps_per_epoch
        stop = False
        if rows and epoch in events:
            rows[-1] |= _evaluate_if_due(adapter, dataset.validation, recipe, epoch)
            stop = adapter.epoch_end(epoch, rows[-1])
        last = rows[-1] if rows else last
        step_loss = float(losses[-1]) if len(losses) else last["loss"]
        yield Progress(end, epochs * plan.steps_per_epoch, epoch, step_loss, clock.speed, rows)
        if stop:
            break
    adapter.train_end(last)
    if "val_loss" not in last:  # stopped early between two validations
        last |= evaluate(adapter, dataset.validation)
    files = adapter.files(_head(dataset.train, 2).inputs)
    facts = {"steps": end, "epochs": last["epoch"], "notes": adapter.notes} | clock.facts()
    yield Trained(files, _golden(adapter, dataset).to_bytes(), last, facts)


def chunks(
    plan: SamplePlan, epochs: int, events: set[int], limit: int
) -> Iterator[tuple[int, int]]:
    """Cut all steps of a run into ranges [first, end) that one call can train.

    A range holds at most `limit` steps of equal batch size and does not cross the end of an epoch
    in `events` (counted from 1), where something else has to happen.
    """
    per_epoch, total = plan.steps_per_epoch, epochs * plan.steps_per_epoch
    first = 0
    for step in range(1, total + 1):
        ended = step == total or (step % per_epoch == 0 and step // per_epoch in events)
        resized = not ended and (
            plan.batch_size(step % per_epoch) != plan.batch_size(first % per_epoch)
        )
        if ended or resized or step - first == limit:
            yield first, step
            first = step


def evaluate(adapter: Adapter, samples: Samples) -> dict[str, float]:
    """Loss and metrics over the whole split: each sample once, summed over all ranks."""
    recipe, place = adapter.recipe, adapter.place
    start, stop = shard_bounds(len(samples), place.rank, place.world)
    sums = np.zeros(1 + len(recipe.metrics))
    for low in range(start, stop, _EVAL_BATCH):
        part = samples.take(slice(low, min(stop, low + _EVAL_BATCH)))
        outputs = adapter.predict(part.inputs)
        sums[0] += adapter.losses(outputs, part.targets).sum(dtype=np.float64)
        for index, metric in enumerate(recipe.metrics, start=1):
            sums[index] += scores(metric, outputs, part.targets, recipe.decides_by).sum()
    means = adapter.all_sum(sums) / len(samples)
    names = ["val_loss", *(f"val_{metric}" for metric in recipe.metrics)]
    return dict(zip(names, means.tolist(), strict=True))


def check_shapes(adapter: Adapter, samples: Samples) -> None:
    """Refuse outputs that would be broadcast against the targets, or that miss a class."""
    recipe, head = adapter.recipe, _head(samples, 2)
    outputs = adapter.predict(head.inputs)
    if not isinstance(recipe.loss, str):
        return
    got, targets = tuple(outputs.shape), head.targets
    if recipe.loss == "cross_entropy":
        classes = int(samples.targets.max()) + 1
        fits = len(got) == 2 and got[1] >= classes
        wanted = f"(batch, {len(recipe.labels) if recipe.labels else classes})"
    else:
        fits = got == targets.shape
        wanted = f"(batch, {', '.join(map(str, targets.shape[1:]))})"
    if not fits:
        shape = f"(batch, {', '.join(map(str, got[1:]))})" if len(got) > 1 else "(batch)"
        raise RecipeError(
            f"recipe {recipe.name!r}: the model's output has shape {shape}, but loss "
            f"{recipe.loss!r} with these targets needs {wanted}; change the last layer"
        )


def _validation_epochs(recipe: Recipe) -> list[int]:
    epochs = range(1, recipe.epochs + 1)
    return [e for e in epochs if e % recipe.validate_every == 0 or e == recipe.epochs]


def _evaluate_if_due(
    adapter: Adapter, samples: Samples, recipe: Recipe, epoch: int
) -> dict[str, float]:
    return evaluate(adapter, samples) if epoch in _validation_epochs(recipe) else {}


def _replicas(adapter: Adapter) -> range:
    first = adapter.place.rank * adapter.replicas
    return range(first, first + adapter.replicas)


def _chunk_limit(samples: Samples, plan: SamplePlan, adapter: Adapter) -> int:
    arrays = [*samples.inputs.values(), samples.targets]
    sample_bytes = sum(array.nbytes // len(array) for array in arrays)
    shard = -(-plan.global_batch // (adapter.place.world * adapter.replicas))
    return max(1, min(_CHUNK_STEPS, _CHUNK_BYTES // max(1, sample_bytes * shard)))


def _gather(
    adapter: Adapter, samples: Samples, plan: SamplePlan, first: int, end: int, replica: int
) -> Chunk:
    world, per_epoch = adapter.place.world * adapter.replicas, plan.steps_per_epoch
    shards: list[Array] = []
    for epoch in range(first // per_epoch, (end - 1) // per_epoch + 1):
        low, high = max(first - epoch * per_epoch, 0), min(end - epoch * per_epoch, per_epoch)
        shards += plan.shards(epoch, low, high, replica, world)
    ids = np.stack(shards)
    weights = np.ones(ids.shape, np.float32)
    if ids.shape[1] == 0:  # fewer samples than ranks: compute one, count none
        ids, weights = np.zeros((len(ids), 1), np.int64), np.zeros((len(ids), 1), np.float32)
    taken = samples.take(ids)
    steps = range(first, end)
    sizes = np.array([plan.batch_size(step % per_epoch) for step in steps], np.float32)
    return Chunk(taken.inputs, taken.targets, weights, sizes, _factors(adapter.recipe, plan, steps))


def _factors(recipe: Recipe, plan: SamplePlan, steps: range) -> Array | None:
    if recipe.schedule is None:
        return None
    total = recipe.epochs * plan.steps_per_epoch
    return np.array([recipe.schedule.factor(step, total) for step in steps], np.float32)


def _finished_epochs(plan: SamplePlan, losses: Array, end: int) -> Iterator[Row]:
    """Rows of the epochs that are complete in `losses`, the losses of the steps before `end`."""
    per_epoch = plan.steps_per_epoch
    sizes = np.array([plan.batch_size(step) for step in range(per_epoch)])
    first = (end - len(losses)) // per_epoch
    for index in range(len(losses) // per_epoch):
        epoch_losses = losses[index * per_epoch : (index + 1) * per_epoch]
        epoch = first + index + 1
        loss = float((epoch_losses * sizes).sum() / plan.samples)
        yield {"epoch": epoch, "step": epoch * per_epoch, "loss": loss}


def _check_finite(losses: Array, first: int, plan: SamplePlan) -> None:
    if not np.isfinite(losses).all():
        epoch = first // plan.steps_per_epoch + 1
        raise ToolkitError(
            f"the loss became NaN or infinite in epoch {epoch}; lower the learning rate, or "
            "check the data for extreme values"
        )


def _head(samples: Samples, count: int) -> Samples:
    return samples.take(np.arange(count) % len(samples))


def _golden(adapter: Adapter, dataset: Dataset) -> Golden:
    """Freeze evenly spread validation samples with the trained model's answers."""
    total = len(dataset.validation)
    ids = np.linspace(0, total - 1, min(adapter.recipe.golden, total)).round().astype(int)
    part = dataset.validation.take(ids)
    parts = range(0, len(ids), _EVAL_BATCH)
    outputs = [adapter.predict(part.take(slice(i, i + _EVAL_BATCH)).inputs) for i in parts]
    raw = {name: array[ids] for name, array in dataset.raw.items()}
    return Golden(raw, {adapter.recipe.output_name: np.concatenate(outputs)}, part.targets)


class _Clock:
    """Time spent in training steps; the first chunk, which compiles, is kept apart."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._steps: list[int] = []
        self._samples: list[int] = []
        self._started = time.perf_counter()

    def training(self, plan: SamplePlan, first: int, end: int) -> "_Clock":
        self._steps.append(end - first)
        sizes = (plan.batch_size(step % plan.steps_per_epoch) for step in range(first, end))
        self._samples.append(sum(sizes))
        return self

    def __enter__(self) -> None:
        self._entered = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._seconds.append(time.perf_counter() - self._entered)

    @property
    def speed(self) -> float:
        """Samples a second, without the first chunk where there are more."""
        skip = 1 if len(self._seconds) > 1 else 0
        return sum(self._samples[skip:]) / max(1e-9, sum(self._seconds[skip:]))

    def facts(self) -> dict[str, float]:
        skip = 1 if len(self._seconds) > 1 else 0
        steady = sum(self._steps[skip:]) / max(1e-9, sum(self._seconds[skip:]))
        return {
            "seconds": math.fsum(self._seconds),
            "fit_seconds": time.perf_counter() - self._started,
            "steps_per_second": steady,
            "samples_per_second": self.speed,
        }
