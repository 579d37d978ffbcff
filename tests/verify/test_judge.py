"""What a comparison means for a file: the gate's verdict, and its words."""

import math

import numpy as np
import pytest

from toolkit.verify import compare as module
from toolkit.verify.compare import judge
from toolkit.verify.gates import gate_for
from toolkit.verify.metric import Drop


def compare(reference, candidate, precision="int8"):
    return module.compare(reference, candidate, "argmax", None, gate_for(precision))


LOGITS = np.random.default_rng(0).normal(size=(100, 5))


def wrong_by(error=0.0, flips=0, scale=1.0):
    got = scale * LOGITS
    got[:flips] = np.roll(got[:flips], 1, axis=1)
    got[0, 0] += error * np.ptp(LOGITS)
    return got


@pytest.mark.parametrize(
    ("precision", "change", "reason"),
    [
        ("fp32", {}, ""),
        ("fp32", {"error": 9e-5}, ""),
        ("fp32", {"error": 2e-4}, "error 2.0e-04 is above the limit 1e-04 for fp32: output 'y' at"),
        ("fp32", {"error": math.nan}, "error inf"),
        ("fp16", {"error": 2e-4}, ""),
        ("fp16", {"error": 2e-2}, "error 2.0e-02 is above the limit 1e-02 for fp16"),
        ("int8", {"error": 2e-2}, ""),
        ("int8", {"flips": 5}, ""),
        ("int8", {"flips": 6}, "6.0% of the decisions changed, more than the 5.0% that int8 may"),
        ("16x8", {"flips": 2}, "2.0% of the decisions changed"),
        ("int8", {"error": math.inf}, "error inf"),
        ("int8", {"scale": 0.4}, "the RMS error is 0.6 of the outputs' spread"),
        ("dynamic", {"scale": 1.2}, ""),
    ],
)
def test_judging(precision, change, reason):
    result = compare({"y": LOGITS}, {"y": wrong_by(**change)}, precision)
    told = judge(result, precision, gate_for(precision))
    assert told.startswith(reason)
    assert bool(told) == bool(reason)


@pytest.mark.parametrize(
    ("drop", "low", "samples", "max_drop", "fails"),
    [
        (0.009, 0.005, 50, None, False),
        (0.02, 0.012, 50, None, True),
        (0.02, 0.0, 50, None, False),  # may be chance
        (0.02, 0.0, 100, None, True),  # a hundred samples can show it
        (0.02, 0.0, 50, 0.01, True),  # chance is no excuse where a user set the limit
        (0.02, 0.012, 50, 0.03, False),
        (math.nan, math.nan, 50, None, True),
    ],
)
def test_judging_the_metric(drop, low, samples, max_drop, fails):
    found = Drop("accuracy", 0.9, 0.9 - drop, drop, low, 0.05, samples)
    same = compare({"y": LOGITS}, {"y": LOGITS})
    told = judge(same, "int8", gate_for("int8", max_drop=max_drop), found)
    assert bool(told) == fails
    if fails and drop == drop:
        assert "accuracy drops by 2.00%" in told
        assert "0.9 before, 0.88 after" in told
