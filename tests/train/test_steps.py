"""Cutting a run into ranges of steps, by property."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toolkit.data.plan import SamplePlan
from toolkit.train.steps import next_end


def chunks(plan, epochs, events, limit):
    """All ranges of a run, one after the other."""
    total, first = epochs * plan.steps_per_epoch, 0
    stops = {epoch * plan.steps_per_epoch for epoch in events}
    while first < total:
        end = next_end(plan, first, total, limit, stops)
        yield first, end
        first = end


@given(
    st.integers(1, 40),
    st.integers(1, 15),
    st.integers(1, 9),
    st.sets(st.integers(1, 9)),
    st.integers(1, 30),
)
@example(7, 3, 4, set(), 100)  # a partial last batch in the middle of a range
@example(3, 3, 9, {3, 9}, 256)  # one step an epoch
def test_ranges_tile_all_steps(samples, batch, epochs, events, limit):
    plan = SamplePlan(samples, batch, 0)
    per_epoch = plan.steps_per_epoch
    ranges = list(chunks(plan, epochs, events, limit))

    assert ranges[0][0] == 0
    assert ranges[-1][1] == epochs * per_epoch
    assert all(end == first for (_, end), (first, _) in pairwise(ranges))
    ends = {end for _, end in ranges}
    assert {epoch * per_epoch for epoch in events if epoch <= epochs} <= ends
    for first, end in ranges:
        assert 0 < end - first <= limit
        assert len({plan.batch_size(step % per_epoch) for step in range(first, end)}) == 1


@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 9), st.sets(st.integers(1, 9)))
def test_no_range_ends_without_need(samples, batch, epochs, events):
    plan = SamplePlan(samples, batch, 0)
    per_epoch = plan.steps_per_epoch
    for _, end in list(chunks(plan, epochs, events, 10**9))[:-1]:
        event = end % per_epoch == 0 and end // per_epoch in events
        sizes = {plan.batch_size((end - 1) % per_epoch), plan.batch_size(end % per_epoch)}
        assert event or len(sizes) == 2


@pytest.mark.parametrize(
    ("samples", "batch", "epochs", "events", "limit", "expected"),
    [
        (3, 3, 500, {100, 200, 300, 400, 500}, 256, [(n, n + 100) for n in range(0, 500, 100)]),
        (4, 2, 3, {3}, 100, [(0, 6)]),
        (4, 2, 3, {1, 2, 3}, 100, [(0, 2), (2, 4), (4, 6)]),
        (5, 2, 2, {2}, 100, [(0, 2), (2, 3), (3, 5), (5, 6)]),
        (8, 2, 1, {1}, 3, [(0, 3), (3, 4)]),
    ],
)
def test_examples(samples, batch, epochs, events, limit, expected):
    assert list(chunks(SamplePlan(samples, batch, 0), epochs, events, limit)) == expected
