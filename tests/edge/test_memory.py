"""Memory does not grow: predictions, and models that are opened and dropped, in a fresh process."""

import subprocess
import sys
from pathlib import Path

import pytest

ONCE = 1 << 20
"""An allocator takes what it takes once; a leak of one object a call is more in 10,000 calls."""
ROOT = Path(__file__).parents[2]

CODE = """
import gc, sys
import numpy as np
from edge.answer import answer
from edge.runtime import load

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

path, count, swaps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
model = load(path)
name = model.inputs[0].name
values = np.ones((4, 1), np.float32)

def predict(times):
    for index in range(times):
        model.predict({name: values[: 1 + index % 2]})
        answer(model, {name: values})

def swap(times):
    for _ in range(times):
        other = load(path)
        other.predict({name: values})
        del other
    gc.collect()

predict(500); swap(10)
before = resident()
predict(count)
between = resident()
swap(swaps)
print(between - before, resident() - between)
"""


def growth(path, predictions, swaps):
    done = subprocess.run(
        [sys.executable, "-c", CODE, path, str(predictions), str(swaps)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [int(number) for number in done.stdout.split()]


def test_no_growth(double):
    by_predictions, by_swaps = growth(double(), 5000, 40)  # of which each predicts twice
    assert by_predictions < ONCE
    assert by_swaps < ONCE


@pytest.mark.soak
def test_no_growth_for_long(double):
    by_predictions, by_swaps = growth(double(), 50_000, 200)
    assert by_predictions < ONCE
    assert by_swaps < 2 * ONCE
