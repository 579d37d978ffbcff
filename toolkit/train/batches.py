"""The samples of some steps, as a rank's replicas get them."""

import numpy as np

from toolkit.data.augmented import Augmenter
from toolkit.data.load import SampleStore
from toolkit.data.plan import SamplePlan
from toolkit.errors import RecipeError
from toolkit.recipe import Array, Recipe
from toolkit.specs import StepDecay
from toolkit.train.adapter import Adapter, Chunk
from toolkit.train.memory import Ledger

_CHUNK_BYTES = 32 * 2**20
_CHUNK_STEPS = 256


def check_schedule(recipe: Recipe, samples: int) -> None:
    """Refuse a schedule that the training is too short for.

    Raises:
        RecipeError: warm-up or the first decay would not come to its end.
    """
    total = recipe.epochs * SamplePlan(samples, recipe.global_batch, recipe.seed).steps_per_epoch
    schedule = recipe.schedule
    warmup = schedule.warmup_steps if schedule else 0
    decay = warmup + schedule.every if isinstance(schedule, StepDecay) else 0
    for name, steps in (("warm-up", warmup), ("first decay", decay)):
        if steps >= total:
            run = f"{recipe.epochs} epochs of {samples} samples in batches of {recipe.global_batch}"
            raise RecipeError(
                f"recipe {recipe.name!r}, field 'schedule': its {name} ends after {steps} "
                f"optimizer steps, but the training has {total} ({run}); shorten it, or train "
                "longer"
            )


class Batches:
    """This rank's part of the training data, in the order of the sample plan."""

    def __init__(
        self, adapter: Adapter, samples: SampleStore, plan: SamplePlan, ledger: Ledger | None
    ) -> None:
        self._adapter, self._samples, self._plan = adapter, samples, plan
        self._ledger = ledger
        self._augmenter = Augmenter(adapter.recipe, list(samples.example()))
        self._world = adapter.place.world * adapter.replicas

    def use(self, samples: SampleStore) -> None:
        """Take the samples from `samples` from now on, which are as many and of the same form."""
        self._samples = samples

    @property
    def most_steps(self) -> int:
        """Steps of a chunk that fit into memory; the same on all ranks."""
        shard = -(-self._plan.global_batch // self._world)
        each = max(1, self._samples.sample_bytes * shard)
        return max(1, min(_CHUNK_STEPS, _CHUNK_BYTES // each))

    def chunk(self, steps: range) -> list[Chunk]:
        """Gather the samples of some steps, one chunk a replica of this rank."""
        first = self._adapter.place.rank * self._adapter.replicas
        replicas = range(first, first + self._adapter.replicas)
        return [self._gather(steps, replica) for replica in replicas]

    def _gather(self, steps: range, replica: int) -> Chunk:
        ids = np.stack(self._shards(steps, replica))
        if self._ledger is not None:
            self._ledger.add(ids)
        empty = ids.shape[1] == 0  # fewer samples than ranks: compute one, count none
        if empty:
            ids = np.zeros((len(ids), 1), np.int64)
        taken = self._samples.take(ids)
        epochs = [step // self._plan.steps_per_epoch for step in steps]
        weights = np.full(ids.shape, 0 if empty else 1, np.float32)
        if taken.weights is not None:
            weights *= taken.weights
        return Chunk(
            first=steps.start,
            inputs=self._augmenter.apply(taken.inputs, ids, epochs),
            targets=taken.targets,
            weights=weights,
            sizes=self._sizes(steps),
            factors=self._factors(steps),
        )

    def _shards(self, steps: range, replica: int) -> list[Array]:
        per_epoch, shards = self._plan.steps_per_epoch, list[Array]()
        for epoch in range(steps.start // per_epoch, (steps.stop - 1) // per_epoch + 1):
            start = epoch * per_epoch
            low, high = max(steps.start - start, 0), min(steps.stop - start, per_epoch)
            shards += self._plan.shards(epoch, low, high, replica, self._world)
        return shards

    def _sizes(self, steps: range) -> Array:
        per_epoch = self._plan.steps_per_epoch
        return np.array([self._plan.batch_size(step % per_epoch) for step in steps], np.float32)

    def _factors(self, steps: range) -> Array | None:
        recipe = self._adapter.recipe
        if recipe.schedule is None:
            return None
        total = recipe.epochs * self._plan.steps_per_epoch
        return np.array([recipe.schedule.factor(step, total) for step in steps], np.float32)
