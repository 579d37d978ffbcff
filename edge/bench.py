"""How long one run of a model takes on this device."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge.model import Model

MAX_RUNS = 10_000
WARM_UP = 10
"""Runs that are not counted, at most: the first ones plan memory and fill caches."""


@dataclass(frozen=True)
class Latency:
    """Of `Model.predict` on one batch, checks included and preprocessing left out.

    Times in microseconds: the run that half, 90 % and 99 % of the runs did not exceed. Throughput
    in samples a second, from the mean.
    """

    runs: int
    samples: int
    p50_us: float
    p90_us: float
    p99_us: float
    samples_per_s: float


def measure(model: Model, inputs: Mapping[str, np.ndarray], seconds: float) -> Latency:
    """Run `inputs` until the seconds have passed, MAX_RUNS at most and one at least.

    Raises as `Model.predict` does.
    """
    _run(model, inputs, seconds / 10, WARM_UP)
    times = _run(model, inputs, seconds, MAX_RUNS)
    p50, p90, p99 = (float(value) / 1e3 for value in np.percentile(times, [50, 90, 99]))
    samples = max((len(array) for array in inputs.values() if array.ndim), default=1)
    rate = samples * 1e9 / max(float(np.mean(times)), 1.0)
    return Latency(len(times), samples, p50, p90, p99, rate)


def _run(model: Model, inputs: Mapping[str, np.ndarray], seconds: float, limit: int) -> list[int]:
    """The nanoseconds of every run."""
    times: list[int] = []
    end = time.perf_counter_ns() + int(seconds * 1e9)
    while not times or (len(times) < limit and time.perf_counter_ns() < end):
        start = time.perf_counter_ns()
        model.predict(inputs)
        times.append(time.perf_counter_ns() - start)
    return times
