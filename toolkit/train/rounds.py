"""Samples that players bring with the model as it is, a round at a time (see `Experience`).

Every rank plays its share of the players, and then all ranks hold all samples; which of them are
trained on when stays the sample plan's matter.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from toolkit.data.checks import raw_input
from toolkit.data.load import Dataset
from toolkit.data.plan import SamplePlan
from toolkit.data.rollouts import checked_targets, samples_of
from toolkit.data.samples import Samples, prepare
from toolkit.errors import RecipeError
from toolkit.recipe import Array
from toolkit.specs import Experience
from toolkit.train.adapter import Adapter
from toolkit.train.evaluate import diverged

_PREFIX = "loop.round."


class Rounds:
    """The rounds of one training on one rank.

    Args:
        adapter: started, one a rank.
        dataset: of a recipe whose training data is an `Experience`.
        plan: of an epoch, which is one pass over a round's samples.

    Attributes:
        scores: of the current round, 'play_*' by name; the same on all ranks.
        seconds: spent with playing.
    """

    def __init__(self, adapter: Adapter, dataset: Dataset, plan: SamplePlan) -> None:
        experience = adapter.recipe.data().train
        if not isinstance(experience, Experience) or experience.samples != plan.samples:
            raise RecipeError(
                f"recipe {adapter.recipe.name!r}: its data function returns another Experience on "
                "this worker than on the driver; it must not depend on where it is called"
            )
        self._adapter, self._experience, self._plan = adapter, experience, plan
        self._example = dataset.train.take(slice(None))
        self._steps = plan.steps_per_epoch * experience.passes
        self._number = -1
        self._samples = self._example
        self.scores: dict[str, float] = {}
        self.seconds = 0.0

    def ends(self, total: int) -> set[int]:
        """Step counts after which the samples are other ones."""
        return set(range(self._steps, total, self._steps))

    def due(self, step: int) -> bool:
        """Whether the samples that `step` trains on are still to be played for."""
        return step // self._steps != self._number

    def play(self, step: int, tick: Callable[[], None]) -> Samples:
        """Play the round of `step`; `tick` is called for each call of the policy.

        Raises:
            DataError: a player brings other samples than it should.
            ToolkitError: the model's outputs became NaN or infinite.
        """
        started = time.perf_counter()
        self._number = step // self._steps
        with self._adapter.small_calls():
            own, sums = self._play(tick)
        inputs = {name: self._exchange(array) for name, array in own.inputs.items()}
        targets = self._settled(self._exchange(own.targets))
        weights = None if own.weights is None else self._exchange(own.weights)
        self._samples = Samples(inputs, targets, weights)
        self._count(self._exchange(sums))
        self.seconds += time.perf_counter() - started
        return self._samples

    def state(self, step: int) -> dict[str, Array]:
        """The current round's samples, as far as they are needed after `step`."""
        if step % self._steps == 0:
            return {}
        samples = self._samples
        arrays = {f"{_PREFIX}input.{name}": array for name, array in samples.inputs.items()}
        arrays[f"{_PREFIX}targets"] = samples.targets
        if samples.weights is not None:
            arrays[f"{_PREFIX}weights"] = samples.weights
        return arrays

    def restore(
        self, step: int, arrays: Mapping[str, Array], scores: Mapping[str, float]
    ) -> Samples:
        """Go on in the round of `step` with what `state` returned, if that was anything."""
        given = {n.removeprefix(_PREFIX): a for n, a in arrays.items() if n.startswith(_PREFIX)}
        if given:
            inputs = {name: given[f"input.{name}"] for name in self._example.inputs}
            self._samples = Samples(inputs, given["targets"], given.get("weights"))
            self._number, self.scores = step // self._steps, dict(scores)
        return self._samples

    def _play(self, tick: Callable[[], None]) -> tuple[Samples, Array]:
        """This rank's part of the round: samples [n, ...], sums and counts [players, scores, 2].

        What other ranks play is zero.
        """
        experience, place, recipe = self._experience, self._adapter.place, self._adapter.recipe
        each = experience.samples // experience.players
        ids = np.zeros(experience.samples, np.int64)
        whole = _zeros_like(self._example.take(ids))
        sums = np.zeros((experience.players, len(experience.scores), 2))
        for player in range(place.rank, experience.players, place.world):
            rollout = experience.play(self._policy(tick), player, self._number)
            where = f"recipe {recipe.name!r}, player {player}, round {self._number}"
            samples, scores = samples_of(recipe, experience, self._example, rollout, where)
            part = slice(player * each, (player + 1) * each)
            for name, array in samples.inputs.items():
                whole.inputs[name][part] = array
            whole.targets[part] = samples.targets
            if whole.weights is not None:
                whole.weights[part] = samples.weights
            for index, values in enumerate(scores.values()):
                sums[player, index] = values.sum(), values.size
        return whole, sums

    def _policy(self, tick: Callable[[], None]) -> Callable[[Any], Array]:
        recipe, names = self._adapter.recipe, list(self._example.inputs)
        steps = {name: recipe.steps_for(name) for name in names}

        def policy(inputs: Any) -> Array:
            tick()
            given = inputs if isinstance(inputs, Mapping) else {recipe.input_name: inputs}
            raw = {name: raw_input(f"input {name!r}", given[name], steps[name]) for name in names}
            ready = {name: prepare(name, steps[name], array) for name, array in raw.items()}
            outputs = self._adapter.predict(ready)
            if not np.isfinite(outputs).all():
                raise diverged(self._number * self._experience.passes)
            return outputs

        return policy

    def _exchange(self, array: Array) -> Array:
        """The sum over all ranks; exact, since of all values that are added one is not zero."""
        if self._adapter.place.world == 1:
            return array
        total = self._adapter.all_sum(array.ravel().astype(np.float64))
        if array.dtype.kind in "iu":
            total = np.rint(total)
        return total.reshape(array.shape).astype(array.dtype)

    def _settled(self, targets: Array) -> Array:
        settle, name = self._experience.settle, self._adapter.recipe.name
        if settle is None:
            return targets
        where = f"recipe {name!r}, round {self._number}"
        return checked_targets(settle(targets), targets, where)

    def _count(self, sums: Array) -> None:
        """Means over all players; a score that no player brought is left out."""
        totals = sums.sum(axis=0)
        self.scores = {
            f"play_{name}": float(total / count)
            for name, (total, count) in zip(self._experience.scores, totals, strict=True)
            if count
        }


def _zeros_like(samples: Samples) -> Samples:
    weights = None if samples.weights is None else np.zeros_like(samples.weights)
    inputs = {name: np.zeros_like(array) for name, array in samples.inputs.items()}
    return Samples(inputs, np.zeros_like(samples.targets), weights)
