"""The sample plan, by property: every id once, in an order that only seed and epoch decide."""

import math
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toolkit.data.plan import SamplePlan, shard_bounds

samples = st.integers(1, 120)
batches = st.integers(1, 70)
seeds = st.integers(0, 2**31 - 1)
epochs = st.integers(0, 10_000)
worlds = st.integers(1, 9)


def order(plan, epoch):
    """All ids of an epoch, in order."""
    return np.concatenate([plan.batch(epoch, step) for step in range(plan.steps_per_epoch)])


@given(samples, batches, seeds, epochs, worlds)
@example(3, 3, 0, 0, 2)  # an uneven shard
@example(7, 3, 0, 1, 2)  # a partial last batch
@example(4, 3, 0, 1, 3)  # empty shards in the last batch
@example(1, 1, 0, 0, 9)
def test_every_id_once_an_epoch(count, batch, seed, epoch, world):
    plan = SamplePlan(count, batch, seed)
    ids = [
        plan.shard(epoch, step, rank, world)
        for step in range(plan.steps_per_epoch)
        for rank in range(world)
    ]
    assert sorted(np.concatenate(ids).tolist()) == list(range(count))


@given(samples, batches, seeds, epochs, worlds, st.data())
def test_shards_in_rank_order_are_the_global_batch(count, batch, seed, epoch, world, data):
    plan = SamplePlan(count, batch, seed)
    step = data.draw(st.integers(0, plan.steps_per_epoch - 1))
    shards = [plan.shard(epoch, step, rank, world) for rank in range(world)]
    assert np.concatenate(shards).tolist() == plan.batch(epoch, step).tolist()
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1
    assert sum(sizes) == plan.batch_size(step)


@given(samples, batches, seeds, epochs, worlds, st.data())
def test_shards_equal_shard(count, batch, seed, epoch, world, data):
    plan = SamplePlan(count, batch, seed)
    rank = data.draw(st.integers(0, world - 1))
    first = data.draw(st.integers(0, plan.steps_per_epoch))
    last = data.draw(st.integers(first, plan.steps_per_epoch))
    together = [ids.tolist() for ids in plan.shards(epoch, first, last, rank, world)]
    single = [plan.shard(epoch, step, rank, world).tolist() for step in range(first, last)]
    assert together == single


@given(samples, batches, seeds, epochs)
def test_batch_sizes_add_up(count, batch, seed, epoch):
    plan = SamplePlan(count, batch, seed)
    sizes = [plan.batch_size(step) for step in range(plan.steps_per_epoch)]
    assert sum(sizes) == count
    assert set(sizes[:-1]) <= {batch}
    assert sizes == [len(plan.batch(epoch, step)) for step in range(plan.steps_per_epoch)]


@given(samples, batches, batches, seeds, epochs)
def test_the_order_follows_from_seed_and_epoch_alone(count, one, other, seed, epoch):
    assert (order(SamplePlan(count, one, seed), epoch) == order(
        SamplePlan(count, other, seed), epoch
    )).all()  # fmt: skip


PINNED = (
    [5, 7, 6, 3, 0, 4, 1, 9, 2, 8],
    [4, 6, 3, 0, 5, 2, 7, 1, 8, 9],
    [6, 9, 1, 8, 2, 3, 7, 0, 4, 5],
)


def test_the_order_is_pinned():
    """A changed shuffle would make runs of older versions irreproducible."""
    assert order(SamplePlan(10, 4, 0), 0).tolist() == PINNED[0]
    assert order(SamplePlan(10, 4, 0), 1).tolist() == PINNED[1]
    assert order(SamplePlan(10, 4, 1), 0).tolist() == PINNED[2]


@pytest.mark.parametrize("count", [50, 64])
def test_epochs_and_seeds_differ(count):
    orders = {
        tuple(SamplePlan(count, count, seed).batch(epoch, 0))
        for seed in range(20)
        for epoch in range(20)
    }
    assert len(orders) == 400


@pytest.mark.parametrize("count", [3, 4, 10, 17, 64, 1000])
def test_no_position_favours_an_id(count):
    """Chi-square of (position, id) over epochs; fixed seed, so it gives the same every time."""
    rounds, columns = 2000, min(count, 64)
    plan = SamplePlan(count, columns, 5)
    firsts = np.array([plan.batch(epoch, 0) for epoch in range(rounds)])
    table = np.array([np.bincount(ids, minlength=count) for ids in firsts.T])
    expected = rounds / count
    statistic = ((table - expected) ** 2 / expected).sum()
    freedom = columns * (count - 1)
    assert abs(statistic - freedom) < 6 * math.sqrt(2 * freedom)


def test_all_orders_of_a_tiny_set_come_up_alike():
    counts = Counter(tuple(SamplePlan(4, 4, 7).batch(epoch, 0)) for epoch in range(4800))
    assert len(counts) == math.factorial(4)
    assert sum((n - 200) ** 2 / 200 for n in counts.values()) < 23 + 6 * math.sqrt(2 * 23)


def test_neighbours_do_not_stay_together():
    """A shuffle by blocks or by a stride would keep differences of neighbouring ids."""
    ids = order(SamplePlan(5000, 100, 3), 2)
    differences = np.diff(ids)
    assert Counter(differences.tolist()).most_common(1)[0][1] < 12
    assert abs(np.corrcoef(np.arange(5000), ids)[0, 1]) < 0.06
    assert abs(np.corrcoef(ids[:-1], ids[1:])[0, 1]) < 0.06


def test_epochs_are_not_correlated():
    plan = SamplePlan(5000, 5000, 3)
    ranks = [np.argsort(plan.batch(epoch, 0)) for epoch in range(4)]
    matrix = np.corrcoef(ranks) - np.eye(4)
    assert np.abs(matrix).max() < 0.06


def test_a_million_million_samples_need_no_memory():
    plan = SamplePlan(10**12, 256, 0)
    tracemalloc.start()
    first, last = plan.batch(7, 0), plan.batch(7, plan.steps_per_epoch - 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
    both = np.concatenate([first, last])
    assert len(set(both.tolist())) == len(both)
    assert both.min() >= 0
    assert both.max() < 10**12
    assert both.max() > 0.9 * 10**12  # spread over the whole range
    shards = [plan.shard(7, 5, rank, 3) for rank in range(3)]
    assert np.concatenate(shards).tolist() == plan.batch(7, 5).tolist()


@pytest.mark.parametrize("step", [-1, 3, 10**9])
def test_a_step_outside_the_epoch_is_refused(step):
    plan = SamplePlan(9, 4, 0)
    for call in (
        lambda: plan.batch_size(step),
        lambda: plan.batch(0, step),
        lambda: plan.shard(0, step, 0, 1),
        lambda: list(plan.shards(0, step, step + 1, 0, 1)),
    ):
        with pytest.raises(IndexError, match=rf"step {step} is outside an epoch of 3 steps"):
            call()


@pytest.mark.parametrize("rank", [-1, 2, 7])
def test_a_rank_outside_the_world_is_refused(rank):
    with pytest.raises(IndexError, match=rf"rank {rank} is outside a world of 2"):
        shard_bounds(5, rank, 2)
    with pytest.raises(IndexError, match="rank"):
        SamplePlan(9, 4, 0).shard(0, 0, rank, 2)
    with pytest.raises(IndexError, match="rank"):
        list(SamplePlan(9, 4, 0).shards(0, 0, 1, rank, 2))
