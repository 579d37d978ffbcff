"""The training loop: the same for both frameworks, and without Ray.

It walks the sample plan in chunks of steps, evaluates exactly over all ranks, and yields what
happened. The adapter does the arithmetic.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolkit.data.load import Dataset, Samples
from toolkit.data.plan import SamplePlan
from toolkit.recipe import Array, Recipe
from toolkit.train.adapter import Adapter, Chunk
from toolkit.train.clock import Clock
from toolkit.train.evaluate import check_shapes, diverged, evaluate, golden, head

_CHUNK_BYTES = 32 * 2**20
_CHUNK_STEPS = 256

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
    recipe = adapter.recipe
    check_shapes(adapter, dataset)
    plan = SamplePlan(len(dataset.train), recipe.global_batch, recipe.seed)
    clock = Clock(plan)
    adapter.train_begin(recipe.epochs)
    last = yield from _train(adapter, dataset, plan, clock)
    adapter.train_end(last)
    if "val_loss" not in last:  # stopped early between two validations
        last |= evaluate(adapter, dataset.validation, last["epoch"])
    files = adapter.files(head(dataset.train).inputs)
    facts = {"steps": last["step"], "epochs": last["epoch"], "notes": adapter.notes}
    answers = golden(adapter, dataset).to_bytes()
    yield Trained(files, answers, last, facts | clock.facts())


def _train(
    adapter: Adapter, dataset: Dataset, plan: SamplePlan, clock: Clock
) -> Generator[Progress, None, Row]:
    """Train all epochs, or fewer where a callback says so; return the last epoch's row."""
    epochs, per_epoch = adapter.recipe.epochs, plan.steps_per_epoch
    due = _validation_epochs(adapter.recipe)
    events = set(range(1, epochs + 1)) if adapter.wants_epochs else due
    losses, last = np.zeros(0), Row()
    limit = _chunk_limit(dataset.train, plan, adapter)
    for first, end in chunks(plan, epochs, events, limit):
        steps = range(first, end)
        with clock.training(steps):
            losses = np.concatenate([losses, _train_chunk(adapter, dataset.train, plan, steps)])
        rows = list(_finished_epochs(plan, losses, end))
        losses = losses[len(rows) * per_epoch :]
        last = rows[-1] if rows else last
        epoch, stop = end // per_epoch, False
        if rows and epoch in events:
            last |= evaluate(adapter, dataset.validation, epoch) if epoch in due else {}
            stop = adapter.epoch_end(epoch, last)
        loss = float(losses[-1]) if len(losses) else last["loss"]
        yield Progress(end, epochs * per_epoch, epoch, loss, clock.speed, rows)
        if stop:
            break
    return last


def _train_chunk(adapter: Adapter, samples: Samples, plan: SamplePlan, steps: range) -> Array:
    """Train some steps on all ranks; return the mean loss of each."""
    first = adapter.place.rank * adapter.replicas
    replicas = range(first, first + adapter.replicas)
    parts = [_gather(adapter, samples, plan, steps, replica) for replica in replicas]
    losses = adapter.all_sum(adapter.train(parts))
    finite = np.isfinite(losses)
    if not finite.all():
        raise diverged(steps[int(finite.argmin())] // plan.steps_per_epoch + 1)
    return losses


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


def _validation_epochs(recipe: Recipe) -> set[int]:
    return {*range(recipe.validate_every, recipe.epochs + 1, recipe.validate_every), recipe.epochs}


def _chunk_limit(samples: Samples, plan: SamplePlan, adapter: Adapter) -> int:
    arrays = [*samples.inputs.values(), samples.targets]
    sample_bytes = sum(array.nbytes // len(array) for array in arrays)
    shard = -(-plan.global_batch // (adapter.place.world * adapter.replicas))
    return max(1, min(_CHUNK_STEPS, _CHUNK_BYTES // max(1, sample_bytes * shard)))


def _gather(
    adapter: Adapter, samples: Samples, plan: SamplePlan, steps: range, replica: int
) -> Chunk:
    world, per_epoch = adapter.place.world * adapter.replicas, plan.steps_per_epoch
    shards: list[Array] = []
    for epoch in range(steps.start // per_epoch, (steps.stop - 1) // per_epoch + 1):
        start = epoch * per_epoch
        low, high = max(steps.start - start, 0), min(steps.stop - start, per_epoch)
        shards += plan.shards(epoch, low, high, replica, world)
    ids = np.stack(shards)
    weights = np.ones(ids.shape, np.float32)
    if ids.shape[1] == 0:  # fewer samples than ranks: compute one, count none
        ids, weights = np.zeros((len(ids), 1), np.int64), np.zeros((len(ids), 1), np.float32)
    taken = samples.take(ids)
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
