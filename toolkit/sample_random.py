"""Random numbers that belong to samples, not to batches: what augmentation draws from.

A number follows from seed, epoch, sample and its place in the order of drawing alone. So it is the
same on any number of workers and after a restart, and nothing has to be stored. `mix` is also what
the sample plan shuffles with.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio, odd


def mix(words: Words) -> Words:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(words ^ (words >> np.uint64(31)), np.uint64)


class SampleRandom:
    """Random numbers for n samples, from a stream of SplitMix64 each.

    Each call brings new numbers. Those of a sample do not depend on which others are in the batch.

    Args:
        keys: [n], where each sample's stream starts.
    """

    def __init__(self, keys: Words) -> None:
        self._keys, self._drawn = keys, 0

    @classmethod
    def of(
        cls, seed: int, epochs: Sequence[int], ids: npt.NDArray[np.int64], stream: tuple[int, ...]
    ) -> "SampleRandom":
        """Those of samples `ids` [steps, batch] at `epochs` [steps], in that order, flattened.

        Args:
            seed: of the recipe, >= 0.
            epochs: counted from 0.
            ids: of training samples.
            stream: tells apart what draws for the same sample.
        """
        words = {epoch: _word(seed, epoch, stream) for epoch in set(epochs)}
        starts = np.array([words[epoch] for epoch in epochs], np.uint64)[:, None]
        return cls(mix(starts + ids.astype(np.uint64) * _STEP).ravel())

    def uniform(self, *shape: int) -> npt.NDArray[np.float32]:
        """From 0 to below 1, evenly; [n, *shape]."""
        return ((self._words(shape) >> np.uint64(40)) * 2.0**-24).astype(np.float32)

    def integers(self, low: int, high: int, *shape: int) -> npt.NDArray[np.int64]:
        """From `low` to below `high`, which is at most 2**31 more; [n, *shape]."""
        share = (self._words(shape) >> np.uint64(11)) * 2.0**-53
        return low + (share * (high - low)).astype(np.int64)

    def normal(self, *shape: int) -> npt.NDArray[np.float32]:
        """Of mean 0 and standard deviation 1 (Box and Muller, 1958); [n, *shape]."""
        lengths = np.sqrt(-2 * np.log1p(-self.uniform(*shape)))
        return np.asarray(lengths * np.cos(2 * np.pi * self.uniform(*shape)), np.float32)

    def _words(self, shape: tuple[int, ...]) -> Words:
        count = math.prod(shape)
        places = np.arange(self._drawn + 1, self._drawn + count + 1, dtype=np.uint64)
        self._drawn += count
        return mix(self._keys[:, None] + places * _STEP).reshape(len(self._keys), *shape)


def _word(seed: int, epoch: int, stream: tuple[int, ...]) -> int:
    state = np.random.SeedSequence([seed, epoch], spawn_key=(1, *stream))  # the plan's has no key
    return int(state.generate_state(1, np.uint64)[0])
