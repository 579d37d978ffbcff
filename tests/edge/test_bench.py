"""When a measurement ends, and of which runs its numbers are."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import bench
from edge.model import Model
from edge.tensor import Tensor


class Clocked(Model):
    """Each run moves the clock by the next of `costs` (in microseconds), the last for ever."""

    def __init__(self, monkeypatch, *costs):
        tensor = Tensor("x", (None,), "float32")
        super().__init__("fake", "fake 1.0", [tensor], [tensor], None)
        self.now, self.costs, self.runs = 0, list(costs), 0
        monkeypatch.setattr(time, "perf_counter_ns", lambda: self.now)
        monkeypatch.setattr(time, "perf_counter", lambda: self.now / 1e9)

    def _run(self, inputs):
        self.runs += 1
        self.now += 1000 * (self.costs.pop(0) if len(self.costs) > 1 else self.costs[0])
        return inputs


ONE = {"x": np.zeros(2, np.float32)}


def test_equal_runs_end_after_five_blocks(monkeypatch):
    model = Clocked(monkeypatch, 1000)
    found = bench.measure(model, ONE, seconds=1)
    assert found == bench.Latency(
        runs=250, samples=2, stable=True, p50_us=1000, p90_us=1000, p99_us=1000, samples_per_s=2000
    )
    assert model.runs == 10 + 250  # warm-up, and five blocks of a twentieth of a second


def test_warm_up_and_a_slow_start_do_not_count(monkeypatch):
    model = Clocked(monkeypatch, *[3000] * 10, *[2000] * 50, 1000)  # two slow blocks
    found = bench.measure(model, ONE, seconds=1)
    assert (found.stable, found.p99_us, found.runs) == (True, 1000, 250)


def test_a_median_that_never_settles_is_said_to_move(monkeypatch):
    model = Clocked(monkeypatch, *range(1000, 20_000, 50))
    found = bench.measure(model, ONE, seconds=1)
    assert not found.stable
    assert found.p50_us < found.p90_us < found.p99_us
    assert model.now == pytest.approx(1.1e9, rel=0.1)  # the time limit held


def test_a_run_longer_than_the_limit_is_measured_once(monkeypatch):
    model = Clocked(monkeypatch, 9_000_000)
    found = bench.measure(model, ONE, seconds=1)
    assert (found.runs, found.stable, found.p50_us) == (1, False, 9e6)


@given(st.lists(st.integers(1000, 1030), min_size=5, max_size=5), st.integers(1, 10**9))
def test_stable_is_within_three_percent_and_sees_the_last_blocks_only(medians, before):
    blocks = [[median] for median in medians]
    assert bench.is_stable([[before], *blocks])
    assert not bench.is_stable(blocks[1:])
    assert not bench.is_stable([*blocks[1:], [max(medians) * 2]])
