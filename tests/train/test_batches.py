"""Schedules that fit their training, and those that do not."""

import pytest

from toolkit import Cosine, Linear, Schedule, StepDecay
from toolkit.errors import RecipeError
from toolkit.train.batches import check_schedule


@pytest.mark.parametrize(
    "schedule",
    [None, Schedule(19), Cosine(19), Linear(19), StepDecay(every=19), StepDecay(9, every=10)],
)
def test_schedules_that_fit(job, schedule):
    check_schedule(job(schedule=schedule), 23)  # 4 epochs of 5 steps


@pytest.mark.parametrize(
    ("schedule", "what"),
    [
        (Schedule(20), "warm-up ends after 20"),
        (Cosine(500), "warm-up ends after 500"),
        (StepDecay(every=20), "first decay ends after 20"),
        (StepDecay(10, every=10), "first decay ends after 20"),
    ],
)
def test_schedules_that_are_longer_than_the_training(job, schedule, what):
    with pytest.raises(RecipeError, match=rf"'schedule'.*{what}.*has 20 \(4 epochs of 23 samples"):
        check_schedule(job(schedule=schedule), 23)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(2), [0.5, 1, 1, 1, 1, 1]),
        (Linear(1), [1, 1, 0.75, 0.5, 0.25, 0]),
        (Linear(1, final=0.5), [1, 1, 0.875, 0.75, 0.625, 0.5]),
        (Cosine(1), [1, 1, 0.8536, 0.5, 0.1464, 0]),
        (StepDecay(1, every=2, decay=0.5), [1, 1, 1, 0.5, 0.5, 0.25]),
    ],
)
def test_factors(schedule, expected):
    assert [schedule.factor(step, 6) for step in range(6)] == pytest.approx(expected, abs=1e-4)
