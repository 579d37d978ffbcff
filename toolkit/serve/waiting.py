"""Requests that wait, in their order, and which of them run together next."""

import asyncio
from collections.abc import Iterator

from toolkit.serve.joining import Key, Outcome, samples_of
from toolkit.serve.version import Arrays


class Waiting:
    """One request.

    Args:
        inputs: prepared arrays [n, ...] by name.
        key: what those that run with it have alike; None: it runs alone.
        future: gets the outcome.
        since: when it came, by the event loop's clock.
    """

    __slots__ = ("future", "inputs", "key", "samples", "since")

    def __init__(
        self, inputs: Arrays, key: Key | None, future: asyncio.Future[Outcome], since: float
    ) -> None:
        self.inputs, self.key, self.future, self.since = inputs, key, future, since
        self.samples = samples_of(inputs)

    def settle(self, outcome: Outcome) -> None:
        """Give the outcome to whoever still waits for it."""
        if not self.future.done():
            self.future.set_result(outcome)


class Queue:
    """Who came first is first; those that fit with it are taken along.

    Args:
        most: samples that run together.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Waiting, None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._waiting)

    def add(self, waiting: Waiting) -> None:
        """At the end."""
        self._waiting[waiting] = None

    def remove(self, waiting: Waiting) -> None:
        """From wherever it is, if it is there still."""
        self._waiting.pop(waiting, None)

    def clear(self) -> None:
        """Remove all."""
        self._waiting.clear()

    def next(self) -> tuple[list[Waiting], bool]:
        """The first request and those that run with it, and whether no other fits in.

        They stay in the queue. It must not be empty.
        """
        rest = iter(self._waiting)
        head = next(rest)
        batch, samples = [head], head.samples
        if head.key is None or samples >= self._most:
            return batch, True
        for each in rest:
            if each.key == head.key:
                samples += each.samples
                if samples <= self._most:
                    batch.append(each)
                if samples >= self._most:  # later ones must not overtake one that did not fit
                    return batch, True
        return batch, False
