"""How long training takes, and how fast it is."""

import math
import time
from typing import Self

from toolkit.data.plan import SamplePlan


class Clock:
    """Time spent in training steps; the first chunk, which compiles, is kept apart."""

    def __init__(self, plan: SamplePlan) -> None:
        self._plan = plan
        self._seconds: list[float] = []
        self._steps: list[int] = []
        self._samples: list[int] = []
        self._started = time.perf_counter()

    def training(self, steps: range) -> Self:
        """Count what the `with` block trains."""
        per_epoch = self._plan.steps_per_epoch
        self._steps.append(len(steps))
        self._samples.append(sum(self._plan.batch_size(step % per_epoch) for step in steps))
        return self

    def __enter__(self) -> None:
        self._entered = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._seconds.append(time.perf_counter() - self._entered)

    @property
    def chunks(self) -> int:
        """How often steps were trained."""
        return len(self._seconds)

    @property
    def speed(self) -> float:
        """Samples a second, without the first chunk where there are more."""
        return self._rate(self._samples)

    def facts(self) -> dict[str, float]:
        """Seconds and speeds, for run.json."""
        return {
            "seconds": math.fsum(self._seconds),
            "fit_seconds": time.perf_counter() - self._started,
            "steps_per_second": self._rate(self._steps),
            "samples_per_second": self.speed,
        }

    def _rate(self, counts: list[int]) -> float:
        skip = 1 if len(self._seconds) > 1 else 0
        return sum(counts[skip:]) / max(1e-9, sum(self._seconds[skip:]))
