"""Scores a sample, checked against plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from toolkit.data.metrics import scores

values = hnp.arrays(np.float32, (7, 3), elements=st.floats(-1e3, 1e3, width=32))


@given(values, values)
def test_mse_and_mae_are_means_over_each_sample(outputs, targets):
    for row, (output, target) in enumerate(zip(outputs.tolist(), targets.tolist(), strict=True)):
        differences = [a - b for a, b in zip(output, target, strict=True)]
        squared = scores("mse", outputs, targets, "value")[row]
        absolute = scores("mae", outputs, targets, "value")[row]
        assert squared == pytest.approx(sum(d * d for d in differences) / 3, rel=1e-12)
        assert absolute == pytest.approx(sum(map(abs, differences)) / 3, rel=1e-12)


@pytest.mark.parametrize("metric", ["mse", "mae", "accuracy"])
@given(values, st.integers(1, 6))
def test_scores_of_parts_are_the_parts_of_the_scores(metric, outputs, cut):
    targets = np.arange(7) % 3 if metric == "accuracy" else outputs[::-1].copy()
    whole = scores(metric, outputs, targets, "argmax")
    parts = [
        scores(metric, outputs[:cut], targets[:cut], "argmax"),
        scores(metric, outputs[cut:], targets[cut:], "argmax"),
    ]
    assert whole.dtype == np.float64
    assert whole.shape == (7,)
    assert np.concatenate(parts).tolist() == whole.tolist()


@pytest.mark.parametrize(
    ("decision", "outputs", "targets", "expected"),
    [
        ("argmax", [[1, 2, 0], [3, 2, 0], [0, 0, 1]], [1, 1, 2], [1, 0, 1]),
        ("sign", [[0.1], [-0.1], [0.0]], [[1], [1], [0]], [1, 0, 1]),
        ("value", [[2.0], [3.0]], [[2.0], [3.5]], [1, 0]),
        ("value", [[2.0, 1.0], [3.0, 1.0]], [[2.0, 1.0], [3.0, 0.0]], [1, 0]),
    ],
)
def test_accuracy_follows_the_decision(decision, outputs, targets, expected):
    got = scores("accuracy", np.array(outputs, np.float32), np.array(targets), decision)
    assert got.tolist() == expected


def test_differences_are_taken_in_double_precision():
    outputs, targets = np.float32([[16777216.0]]), np.float64([[16777217.0]])
    assert scores("mae", outputs, targets, "value").tolist() == [1.0]


def test_a_target_without_an_axis_matches_an_output_with_one():
    got = scores("mse", np.float32([[1.0], [2.0]]), np.float32([1.0, 4.0]), "value")
    assert got.tolist() == [0.0, 4.0]
