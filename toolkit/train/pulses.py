"""The heartbeats of a group's workers, asked for while they train."""

import time
from collections.abc import Sequence
from typing import Any

from toolkit.train.control import PHASES, Beat
from toolkit.train.policy import Pulse

_EVERY_SECONDS = 1.0
_AWAY_SECONDS = 2.0  # a driver that did not look for so long kept the workers waiting itself
_EXCUSED_SECONDS = 5.0


class Pulses:
    """Asks every worker for a beat each second, without ever waiting for one.

    Args:
        actors: by rank.
    """

    def __init__(self, actors: Sequence[Any]) -> None:
        self._actors = actors
        now = time.monotonic()
        self._beats = [Beat(PHASES[0], 0.0, 0, 0.0) for _ in actors]
        self._heard = [now for _ in actors]
        self._asked: dict[int, tuple[Any, float]] = {}
        self._looked, self._excused = now, now

    def look(self) -> dict[int, Pulse]:
        """What is known of each rank now.

        Nothing is told for a moment after the driver was busy with something else, such as slow
        storage: rank 0 then waited for the driver, and the others for rank 0.
        """
        now = time.monotonic()
        if now - self._looked > _AWAY_SECONDS:
            self._excused = now + _EXCUSED_SECONDS
        self._looked = now
        for rank, actor in enumerate(self._actors):
            asked = self._asked.get(rank)
            if asked is None:
                self._asked[rank] = (actor.beat.options(concurrency_group="control").remote(), now)
            elif now - asked[1] >= _EVERY_SECONDS and self._answered(rank, asked[0]):
                del self._asked[rank]
        if now < self._excused:
            return {}
        return {
            rank: Pulse(beat, now - heard)
            for rank, (beat, heard) in enumerate(zip(self._beats, self._heard, strict=True))
        }

    def _answered(self, rank: int, reference: Any) -> bool:
        import ray

        ready, _ = ray.wait([reference], timeout=0)
        if not ready:
            return False
        try:
            self._beats[rank] = ray.get(reference)
            self._heard[rank] = time.monotonic()
        except ray.exceptions.RayError:  # a dead worker: its stream of reports says so, and why
            return False
        return True
