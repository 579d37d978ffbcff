"""How a training loop is asked to leave, and how it shows that it is alive.

The loop and the driver's questions run in two threads of a worker. Plain attributes are enough:
each side only reads what the other writes.
"""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Beat:
    """What a worker is doing.

    Attributes:
        doing: the phase, one of PHASES.
        seconds: since it last got on.
        step: optimizer steps done.
        slowest: seconds of the slowest ordinary chunk of steps so far; 0 before the first one.
    """

    doing: str
    seconds: float
    step: int
    slowest: float


PHASES = ("starting", "playing", "first steps", "steps", "validation", "callbacks", "saving")


class Control:
    """A worker's side of the conversation."""

    def __init__(self) -> None:
        self.leave = False
        self._doing, self._since = PHASES[0], time.monotonic()
        self._step, self._slowest = 0, 0.0

    def doing(self, phase: str, step: int) -> None:
        """Tell that a phase begins, or that it gets on."""
        now = time.monotonic()
        if self._doing == "steps":
            self._slowest = max(self._slowest, now - self._since)
        self._doing, self._since, self._step = phase, now, step

    def beat(self) -> Beat:
        """What the loop is doing now."""
        return Beat(self._doing, time.monotonic() - self._since, self._step, self._slowest)
