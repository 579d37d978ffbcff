import numpy as np
import pytest

from edge.decision import decide
from edge.errors import BrokenRuntimeError, InputError


def test_argmax():
    answers = decide(np.array([[0.1, 0.9], [3, 2]]), "argmax")
    assert answers.tolist() == [1, 0]
    assert answers.dtype == np.int64
    assert decide(np.zeros((2, 5, 3)), "argmax").shape == (2, 5)


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_sign_is_one_above_zero_only(shape):
    answers = decide(np.array([-1.0, 0.0, 0.5]).reshape(shape), "sign")
    assert answers.tolist() == [0, 0, 1]
    assert answers.dtype == np.int64


def test_value():
    assert decide(np.array([[1.5], [2]]), "value").tolist() == [1.5, 2]
    assert decide(np.array([[[1.5]]]), "value").tolist() == [1.5]
    assert decide(np.array([[1, 2], [3, 4]]), "value").tolist() == [[1, 2], [3, 4]]
    assert np.isnan(decide(np.array([[np.nan]]), "value")).all()


@pytest.mark.parametrize(
    ("outputs", "decision"),
    [
        (np.zeros((2, 2)), "sign"),
        (np.zeros(()), "sign"),
        (np.zeros(3), "argmax"),
        (np.zeros((3, 0)), "argmax"),
        (np.zeros((3, 2)), "best"),
    ],
)
def test_what_does_not_suit_is_refused(outputs, decision):
    with pytest.raises(InputError, match=decision):
        decide(outputs, decision)


def test_nothing_is_decided_on_nan():
    with pytest.raises(BrokenRuntimeError, match="1 of 2 samples, first for sample 1"):
        decide(np.array([[1, 0], [np.nan, 0]]), "argmax")
    with pytest.raises(BrokenRuntimeError, match="NaN"):
        decide(np.array([np.nan]), "sign")
    assert decide(np.array([[-np.inf, 0]]), "argmax").tolist() == [1]
