"""How long one run of a model takes on this device."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge.model import Model

MAX_RUNS = 100_000
WARM_UP = 10
"""Runs that are not counted, at most: the first ones plan memory and fill caches."""
WINDOW = 5
"""Blocks whose medians must agree."""
SPREAD = 0.03
"""How far the greatest of these medians may lie above the least, as a share of it."""


@dataclass(frozen=True)
class Latency:
    """Of `Model.predict` on one batch, checks included and preprocessing left out.

    stable says whether the medians of the last blocks agreed; the times are of these blocks then,
    and of all runs otherwise. Times in microseconds: the run that half, 90 % and 99 % of the runs
    did not exceed. Throughput in samples a second, from the mean.
    """

    runs: int
    samples: int
    stable: bool
    p50_us: float
    p90_us: float
    p99_us: float
    samples_per_s: float


def measure(model: Model, inputs: Mapping[str, np.ndarray], seconds: float) -> Latency:
    """Run `inputs` in blocks until WINDOW medians agree, for `seconds` and MAX_RUNS at most.

    A block takes a twentieth of the seconds and one run at least.

    Raises as `Model.predict` does.
    """
    _run(model, inputs, seconds / 10, WARM_UP)
    blocks: list[list[int]] = []
    end = time.perf_counter() + seconds
    left = MAX_RUNS
    while not blocks or (time.perf_counter() < end and left > 0 and not is_stable(blocks)):
        blocks.append(_run(model, inputs, seconds / 20, left))
        left -= len(blocks[-1])
    stable = is_stable(blocks)
    times = np.concatenate(blocks[-WINDOW:] if stable else blocks)
    p50, p90, p99 = (float(value) / 1e3 for value in np.percentile(times, [50, 90, 99]))
    samples = max((len(array) for array in inputs.values() if array.ndim), default=1)
    rate = samples * 1e9 / max(float(np.mean(times)), 1.0)
    return Latency(len(times), samples, stable, p50, p90, p99, rate)


def is_stable(blocks: list[list[int]]) -> bool:
    """Whether the medians of the last WINDOW blocks lie within SPREAD of each other."""
    if len(blocks) < WINDOW:
        return False
    medians = [float(np.median(block)) for block in blocks[-WINDOW:]]
    return max(medians) <= min(medians) * (1 + SPREAD)


def _run(model: Model, inputs: Mapping[str, np.ndarray], seconds: float, limit: int) -> list[int]:
    """The nanoseconds of every run."""
    times: list[int] = []
    end = time.perf_counter_ns() + int(seconds * 1e9)
    while not times or (len(times) < limit and time.perf_counter_ns() < end):
        start = time.perf_counter_ns()
        model.predict(inputs)
        times.append(time.perf_counter_ns() - start)
    return times
