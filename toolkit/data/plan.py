"""The sample plan: which samples each rank uses at each step.

Pure and framework-neutral. The order follows from (seed, epoch) alone, never from the number of
workers, so one, two or three workers see the same global batches, and a run can be continued at
any step without any stored state.

The shuffle is a keyed Feistel permutation with cycle walking (Black and Rogaway, 'Ciphers with
Arbitrary Finite Domains', 2002): any slice of an epoch's order is computed by itself, so memory
does not grow with the number of samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolkit.sample_random import Words, mix

Ids = npt.NDArray[np.int64]

_ROUNDS = 8


@dataclass(frozen=True)
class SamplePlan:
    """Sample ids by epoch, step and rank.

    Every id in range(samples) appears exactly once an epoch. A step is one global batch; the last
    step of an epoch holds what is left. A global batch is cut into contiguous shards whose sizes
    differ by at most one, so a rank's shard is empty when there are fewer samples than ranks.

    Attributes:
        samples: number of training samples, >= 1.
        global_batch: samples of one optimizer step over all ranks, >= 1.
        seed: of the shuffle, 0 <= seed < 2**63.
    """

    samples: int
    global_batch: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch, the partial last one included."""
        return -(-self.samples // self.global_batch)

    def batch_size(self, step: int) -> int:
        """Number of samples of the global batch at `step` of any epoch."""
        self._check_step(step)
        return min(self.global_batch, self.samples - step * self.global_batch)

    def batch(self, epoch: int, step: int) -> Ids:
        """Ids of the global batch at `step` of `epoch`, in order; shape [batch_size(step)]."""
        start = step * self.global_batch
        return self._slice(epoch, start, start + self.batch_size(step))

    def shard(self, epoch: int, step: int, rank: int, world: int) -> Ids:
        """Ids that `rank` of `world` uses at `step` of `epoch`; shape [0 or more]."""
        start, stop = shard_bounds(self.batch_size(step), rank, world)
        offset = step * self.global_batch
        return self._slice(epoch, offset + start, offset + stop)

    def shards(self, epoch: int, first: int, last: int, rank: int, world: int) -> Iterator[Ids]:
        """Yield this rank's shard of each step in [first, last), computed in one go."""
        offset = first * self.global_batch
        stop = offset + sum(self.batch_size(step) for step in range(first, last))
        ids = self._slice(epoch, offset, stop)
        for step in range(first, last):
            start = (step - first) * self.global_batch
            low, high = shard_bounds(self.batch_size(step), rank, world)
            yield ids[start + low : start + high]

    def _slice(self, epoch: int, start: int, stop: int) -> Ids:
        positions = np.arange(start, stop, dtype=np.uint64)
        return _permute(positions, self.samples, _round_keys(self.seed, epoch)).astype(np.int64)

    def _check_step(self, step: int) -> None:
        if not 0 <= step < self.steps_per_epoch:
            raise IndexError(f"step {step} is outside an epoch of {self.steps_per_epoch} steps")


def shard_bounds(size: int, rank: int, world: int) -> tuple[int, int]:
    """Start and stop of `rank`'s contiguous share of `size` items; sizes differ by at most one."""
    if not 0 <= rank < world:
        raise IndexError(f"rank {rank} is outside a world of {world}")
    share, extra = divmod(size, world)
    start = rank * share + min(rank, extra)
    return start, start + share + (rank < extra)


def _round_keys(seed: int, epoch: int) -> Words:
    state = np.random.SeedSequence([seed, epoch]).generate_state(_ROUNDS, np.uint64)
    return np.asarray(state, np.uint64)


def _permute(positions: Words, samples: int, keys: Words) -> Words:
    """Map positions to ids: a bijection of range(samples)."""
    bits = max(2, (samples - 1).bit_length())
    ids = _encrypt(positions, bits, keys)
    outside = ids >= samples
    while outside.any():  # the domain is below 2 * samples, so a few rounds are enough
        ids[outside] = _encrypt(ids[outside], bits, keys)
        outside = ids >= samples
    return ids


def _encrypt(values: Words, bits: int, keys: Words) -> Words:
    """One pass of an (unbalanced) Feistel network over `bits` bits."""
    left_bits, right_bits = bits // 2, bits - bits // 2
    left = values >> np.uint64(right_bits)
    right = values & _mask(right_bits)
    for key in keys:
        left, right = right, left ^ (mix(right ^ key) & _mask(left_bits))
        left_bits, right_bits = right_bits, left_bits
    return (left << np.uint64(right_bits)) | right


def _mask(bits: int) -> np.uint64:
    return np.uint64((1 << bits) - 1)
