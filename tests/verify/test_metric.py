"""The drop of a metric and its interval, against counts and the normal approximation."""

import numpy as np
import pytest

from toolkit.verify.metric import RESAMPLES, interval, measure

TARGETS = np.arange(400) % 4


def right_but(wrong):
    """Outputs that choose the right class but for the first `wrong` samples."""
    outputs = np.eye(4, dtype=np.float32)[TARGETS]
    outputs[:wrong] = np.roll(outputs[:wrong], 1, axis=1)
    return outputs


def test_accuracy_that_drops():
    drop = measure("accuracy", right_but(4), right_but(24), TARGETS, "argmax")
    assert (drop.metric, drop.samples) == ("accuracy", 400)
    assert (drop.before, drop.after) == (0.99, 0.94)
    assert drop.drop == pytest.approx(0.05)
    spread = 1.96 * np.sqrt(0.05 * 0.95 / 400)  # of the 20 pairs that differ: pairing is kept
    assert drop.low == pytest.approx(0.05 - spread, abs=0.004)
    assert drop.high == pytest.approx(0.05 + spread, abs=0.004)


def test_what_gets_better_has_a_drop_below_zero():
    drop = measure("accuracy", right_but(24), right_but(4), TARGETS, "argmax")
    assert drop.drop == pytest.approx(-0.05)
    assert drop.high < 0


def test_the_same_answers_have_no_drop_and_no_interval():
    drop = measure("accuracy", right_but(9), right_but(9), TARGETS, "argmax")
    assert (drop.drop, drop.low, drop.high) == (0, 0, 0)


@pytest.mark.parametrize("unit", [1.0, 1e15, 1e-14])
@pytest.mark.parametrize(("metric", "power"), [("mae", 1), ("mse", 2)])
def test_errors_are_in_units_of_the_targets(unit, metric, power):
    random = np.random.default_rng(0)
    targets = unit * random.normal(5, 2, (500, 1))
    reference, candidate = targets + 0.1 * unit, targets + 0.3 * unit
    drop = measure(metric, reference, candidate, targets, "value")
    wanted = (0.3**power - 0.1**power) / (targets.std() / unit) ** power
    assert drop.drop == pytest.approx(wanted, rel=1e-6)
    assert drop.before == pytest.approx((0.1 * unit) ** power, rel=1e-6)
    assert drop.low == pytest.approx(wanted, rel=1e-3)


def test_targets_that_are_all_alike_are_measured_by_their_size():
    targets = np.full((9, 1), 4.0)
    assert measure("mae", targets, targets + 1, targets, "value").drop == pytest.approx(0.25)


def test_targets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="reshape"):
        measure("mae", np.ones((4, 2)), np.ones((4, 2)), np.ones(4), "value")


def test_the_interval_is_that_of_a_mean():
    losses = np.random.default_rng(1).normal(0.3, 1, 3000)
    low, high = interval(losses)
    half = 1.96 * losses.std() / np.sqrt(3000)
    assert (low, high) == pytest.approx((losses.mean() - half, losses.mean() + half), abs=0.005)
    assert interval(losses) == (low, high)  # seeded


def test_both_ways_of_drawing_give_the_same_interval():
    few = np.random.default_rng(2).integers(-1, 2, 2000).astype(float)
    many = few + 1e-9 * np.arange(2000)  # all different
    assert interval(few) == pytest.approx(interval(many), abs=0.006)


def test_many_samples_need_little_memory(monkeypatch):
    drawn = []
    real = np.random.default_rng

    class Watched:
        def __init__(self, seed):
            self.random = real(seed)

        def integers(self, low, high, shape):
            drawn.append(shape)
            return self.random.integers(low, high, shape)

    monkeypatch.setattr(np.random, "default_rng", Watched)
    interval(np.linspace(0, 1, 30_000))
    assert max(rows * columns for rows, columns in drawn) <= 1 << 20
    assert sum(rows for rows, _ in drawn) == RESAMPLES
