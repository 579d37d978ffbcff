"""How many steps a call takes, and when a checkpoint is due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.train.cadence import ChunkSize, Due


@given(st.integers(1, 300), st.lists(st.floats(1e-6, 100), min_size=1, max_size=20))
def test_chunks_stay_within_bounds(most, seconds):
    size = ChunkSize(most)
    for each in seconds:
        before = size.steps
        after = size.learn(before, each)
        assert 1 <= after <= most
        assert after <= 8 * before


def test_a_chunk_takes_about_a_second():
    size = ChunkSize(256)
    for _ in range(4):
        size.learn(size.steps, size.steps * 0.02)
    assert size.steps == 50
    assert size.learn(50, 500.0) == 1


class Time:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("every", "due"),
    [(3, [3, 6, 9]), ("epoch", [4, 8]), ("never", []), ("auto", [4, 8])],
)
def test_when_it_is_due(every, due):
    time = Time()
    checkpoints = Due(every, time)
    time.now = 2.0
    assert [step for step in range(1, 10) if checkpoints.at(step, step % 4 == 0)] == due


def test_auto_leaves_the_driver_time_to_write():
    time = Time()
    due = Due("auto", time)
    assert not due.at(5, epoch_ended=True)
    time.now = 2.0
    assert due.at(10, epoch_ended=True)
    due.saved(0.001)
    time.now = 3.9
    assert not due.at(15, epoch_ended=True)


def test_auto_keeps_the_cost_low_but_saves_each_minute():
    time = Time()
    due = Due("auto", time)
    saved = spent = 0
    for step in range(1, 401):  # an epoch a step, 1 s each; saving takes another 0.05 s
        time.now += 1.0
        if due.at(step, epoch_ended=True):
            time.now += 0.05
            spent += 0.05
            saved += 1
            due.saved(0.05)
    assert spent <= 0.021 * time.now + 0.05
    assert 100 < saved <= 200
    due.saved(1000.0)  # far too expensive
    assert not due.at(1, epoch_ended=True)
    time.now += 60
    assert due.at(1, epoch_ended=False)
