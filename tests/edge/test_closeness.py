"""How far from the golden outputs a device's may be."""

import numpy as np
import pytest

from edge.bundle_entries import Tolerance
from edge.closeness import compared, scaled_error

GOLDEN = np.array([[0.0, 4.0], [4.0, 0.0], [1.0, 3.0], [3.0, 1.0]], np.float32)


def test_errors_are_in_the_range_of_the_reference():
    assert scaled_error(np.array([[0.0], [4.0]]), np.array([[0.5], [4.0]])) == 0.125
    assert scaled_error(np.array([2.0]), np.array([3.0])) == 0.5  # a range of one value: its size
    assert scaled_error(np.zeros(2), np.zeros(2)) == 0
    assert scaled_error(np.zeros(2), np.array([0, np.nan])) == np.inf


@pytest.mark.parametrize(
    ("moved", "stated", "words"),
    [
        (0.07, Tolerance(0.0, None, None), ""),  # 0.0175 of the range
        (0.09, Tolerance(0.0, None, None), "error 0.0225 is over the limit of 0.02"),
        (0.09, Tolerance(0.01, None, None), ""),
        (0.09, Tolerance(0.0, 0.01, None), "over the limit of 0.01"),
        (np.inf, Tolerance(0.0, 9.0, None), "error inf is over"),
    ],
)
def test_the_limit_of_export_or_a_little_more_than_its_error(moved, stated, words):
    facts, problem = compared(
        stated, {"y": GOLDEN}, {"y": GOLDEN + np.float32(moved)}, "y", "value"
    )
    assert words in problem
    assert bool(problem) == bool(words)
    assert facts["agreement"] is None


def test_one_sample_may_be_decided_otherwise():
    wide = Tolerance(0.0, 9.0, 1.0)
    swapped = GOLDEN.copy()
    for row, problem in ((0, ""), (1, "agrees on 0.5 of the samples, 1 at export")):
        swapped[row] = GOLDEN[row, ::-1]
        assert compared(wide, {"y": GOLDEN}, {"y": swapped}, "y", "argmax")[1] == problem


def test_outputs_that_are_missing_or_of_another_shape():
    stated = Tolerance(0.0, None, None)
    assert "no output y" in compared(stated, {"y": GOLDEN}, {"z": GOLDEN}, "z", "value")[1]
    other = {"y": GOLDEN[:, :1]}
    assert "[4, 1], expected [4, 2]" in compared(stated, {"y": GOLDEN}, other, "y", "value")[1]
