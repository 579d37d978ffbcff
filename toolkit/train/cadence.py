"""How much is done at a time, and when it is time to save: the loop's sense of time.

Only rank 0's answers count; the loop shares them with the others, so that all act alike.
"""

import time
from collections.abc import Callable

_SHARE = 0.02  # of the time, for checkpoints under 'auto'
_PAUSE = 2.0  # between two of them under 'auto': the driver, which writes them, needs time too
_MINUTE = 60.0
_CHUNK_SECONDS = 1.0  # so that a request to leave is heard soon
_GROWTH = 8


class ChunkSize:
    """Steps a call, so that a call takes about a second.

    Args:
        most: steps that memory allows.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.steps = min(8, most)

    def learn(self, steps: int, seconds: float) -> int:
        """Take note of a chunk's time; return the next chunk's steps."""
        fitting = int(steps * _CHUNK_SECONDS / max(seconds, 1e-6))
        self.steps = max(1, min(fitting, self.steps * _GROWTH, self._most))
        return self.steps


class Due:
    """When a checkpoint is due.

    Args:
        every: as in `toolkit.train.settings.Settings.checkpoint_every`.
        now: a clock in seconds.
    """

    def __init__(self, every: str | int, now: Callable[[], float] = time.monotonic) -> None:
        self._every, self._now = every, now
        self._begun = self._last = now()
        self._spent = 0.0

    def at(self, step: int, epoch_ended: bool) -> bool:
        """Whether to save after `step`."""
        if isinstance(self._every, int):
            return step % self._every == 0
        if self._every == "auto":
            passed = self._now() - self._last
            affordable = self._spent <= _SHARE * (self._now() - self._begun)
            return (epoch_ended and affordable and passed >= _PAUSE) or passed >= _MINUTE
        return self._every == "epoch" and epoch_ended

    def saved(self, seconds: float) -> None:
        """Take note of what a checkpoint cost."""
        self._spent += seconds
        self._last = self._now()
