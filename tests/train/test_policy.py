"""The failure policy, apart from everything that fails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.train.control import Beat, Control
from toolkit.train.policy import Cause, Failure, Patience, Pulse, hung, reason_to_give_up

PATIENCE = Patience(silence=10, busy=60, stall=20, factor=10, tick=60, phase=900)


def failure(cause=Cause.DIED, step=5, progressed=True, message="gone"):
    return Failure(cause, 1, step, progressed, message)


@pytest.mark.parametrize("cause", list(Cause))
@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_as_many_failures_as_allowed_are_followed_by_another_attempt(cause, allowed):
    failures = [failure(cause, step, message=f"{step}") for step in range(allowed)]
    for count in range(1, allowed + 1):
        assert reason_to_give_up(failures[:count], allowed) is None
    reason = reason_to_give_up([*failures, failure(cause, message="last")], allowed)
    assert f"--max-failures is {allowed}" in reason


def test_an_error_before_the_first_step_is_not_repeated():
    assert "before it trained" in reason_to_give_up([failure(Cause.RAISED, 0, False)], 3)
    assert reason_to_give_up([failure(Cause.DIED, 0, False)], 3) is None


def test_the_same_error_twice_is_a_mistake_in_the_program():
    same = failure(Cause.RAISED, message="ValueError: x")
    assert "same way" in reason_to_give_up([same, same], 9)
    assert reason_to_give_up([same, failure(Cause.RAISED, message="OSError: y")], 9) is None
    killed = failure(Cause.DIED, message="died")
    assert reason_to_give_up([killed, killed], 9) is None


@given(st.lists(st.sampled_from(list(Cause)), min_size=1, max_size=9), st.integers(0, 9))
def test_never_more_attempts_than_allowed(causes, allowed):
    failures = [failure(cause, message=str(index)) for index, cause in enumerate(causes)]
    given_up = reason_to_give_up(failures, allowed) is not None
    assert given_up is (len(failures) > allowed)


def pulse(doing="steps", seconds=0.1, step=7, slowest=1.0, age=0.5):
    return Pulse(Beat(doing, seconds, step, slowest), age)


def test_all_is_well():
    assert (
        hung({0: pulse(), 1: pulse("saving", 800), 2: pulse("starting", age=50)}, PATIENCE) is None
    )
    assert hung({}, PATIENCE) is None


@pytest.mark.parametrize(
    ("pulses", "rank", "words"),
    [
        ({0: pulse(seconds=30), 1: pulse(age=11)}, 1, "not answered for 11 s"),
        ({0: pulse(age=12), 1: pulse(age=30)}, 1, "not answered for 30 s"),
        ({0: pulse("starting", age=61), 1: pulse()}, 0, "not answered"),
        ({0: pulse(seconds=21), 1: pulse(seconds=25)}, 1, "25 s after step 7 (steps)"),
        ({0: pulse("first steps", 901), 1: pulse()}, 0, "(first steps)"),
        ({0: pulse("validation", 61), 1: pulse()}, 0, "(validation)"),
    ],
)
def test_who_hangs(pulses, rank, words):
    named, what = hung(pulses, PATIENCE)
    assert named == rank
    assert words in what


def test_slow_steps_are_given_time():
    assert hung({0: pulse(seconds=299, slowest=30)}, PATIENCE) is None
    assert hung({0: pulse(seconds=301, slowest=30)}, PATIENCE) is not None


def test_a_control_tells_phase_and_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("toolkit.train.control.time.monotonic", lambda: now[0])
    control = Control()
    now[0] = 103
    assert control.beat() == Beat("starting", 3.0, 0, 0.0)
    control.doing("steps", 0)
    now[0] = 105
    control.doing("steps", 8)
    control.doing("validation", 8)
    now[0] = 125
    control.doing("steps", 8)
    assert control.beat() == Beat("steps", 0.0, 8, 2.0)
