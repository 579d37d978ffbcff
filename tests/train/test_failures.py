"""Ray's exceptions as causes. Real ones are met in test_survival.py and test_nodes.py."""

import pytest

from toolkit.errors import RecipeError
from toolkit.hosts import as_host_error
from toolkit.train.failures import cause_of, died, own_error, suspicion
from toolkit.train.policy import Cause


def actor_died(text: str):
    from ray.exceptions import RayActorError

    return RayActorError(error_msg=text)


def out_of_memory():
    from ray.exceptions import OutOfMemoryError

    return OutOfMemoryError("Task was killed due to the node running low on memory.")


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda: actor_died("The actor died unexpectedly before finishing this task."), Cause.DIED),
        (lambda: actor_died("The actor died because its node has died. Node Id: 1"), Cause.NODE),
        (lambda: actor_died("worker was killed: the node was running low on memory"), Cause.MEMORY),
        (out_of_memory, Cause.MEMORY),
        (lambda: as_host_error(ValueError("x")), Cause.RAISED),
        (lambda: as_host_error(MemoryError("x")), Cause.MEMORY),
    ],
)
def test_causes(make, cause):
    assert cause_of(make()) is cause


def test_the_dead_are_suspected_before_those_that_lost_their_peer():
    dead = actor_died("The actor died.")
    raised = as_host_error(ValueError("x"))
    lost = as_host_error(RuntimeError("Connection closed by peer [127.0.0.1]:1"))
    assert [suspicion(error) for error in (dead, raised, lost)] == [0, 1, 2]
    assert [died(error) for error in (dead, raised, lost)] == [True, False, False]


def test_the_toolkits_own_errors_are_not_failures_of_a_worker():
    error = RecipeError("field 'loss'")
    assert own_error(error) is error
    assert own_error(as_host_error(ValueError("x"))) is None
    assert own_error(actor_died("gone")) is None
