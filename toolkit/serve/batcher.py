"""The queue before one version of a model: which requests run together, and when.

Requests wait only while the model is busy, or up to `Batching.delay` for others. Who is first in
the queue is answered first; those that fit with it are taken along. All of it happens in the event
loop's thread; only the model runs in another, and a model that is fast enough runs in the loop.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from toolkit.serve.errors import (
    DeadlineError,
    FailedError,
    OverloadError,
    RequestError,
    UnavailableError,
)
from toolkit.serve.joining import Call, Joiner, Outcome, samples_of
from toolkit.serve.settings import Batching
from toolkit.serve.version import Array, Arrays, Version
from toolkit.serve.waiting import Queue, Waiting
from toolkit.serve.worker import Worker

OnBatch = Callable[[int, int, float], None]
"""Told of every call: requests, samples, seconds. Runs in the event loop."""

_Done = tuple[list[Outcome], list[Call]]

_INLINE_SECONDS = 1e-3  # that a call may hold up the event loop
_RETRY = (0.1, 30.0)  # seconds, least and most


class Batcher:
    """Runs the requests for one version, joined where that is safe; of one event loop.

    Args:
        version: what runs.
        limits: of batch, delay and queue.
        on_batch: told of every call.
    """

    def __init__(self, version: Version, limits: Batching, on_batch: OnBatch | None = None) -> None:
        self._version, self._limits, self._on_batch = version, limits, on_batch
        self._joiner = Joiner(version, limits.size)
        self._waiting = Queue(self._joiner.most)
        self._running: Sequence[Waiting] = ()
        self._worker: Worker[Sequence[Waiting], _Done] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_of: Waiting | None = None
        self._due: Waiting | None = None  # has waited long enough for others
        self._direct = limits.delay == 0
        self._draining = self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._pace = 0.0  # seconds a request, lately
        batch = version.batch or 1
        self._inline_most = (
            int(_INLINE_SECONDS / version.seconds) * batch if version.seconds else limits.size
        )

    @property
    def queued(self) -> int:
        """Requests that wait and do not run yet."""
        return len(self._waiting)

    async def submit(self, inputs: Arrays, deadline: float) -> dict[str, Array]:
        """Run the model on prepared arrays [n, ...] by input name; outputs [n, ...] by name.

        A request whose task is cancelled leaves the queue.

        Args:
            inputs: are not changed, and must not be until this returns.
            deadline: by the event loop's clock.

        Raises:
            RequestError: 400, the model does not take these inputs.
            OverloadError: the queue is full.
            DeadlineError: the deadline passed first.
            UnavailableError: the version was taken out of service.
            FailedError: the model failed; the cause is chained.
        """
        loop = asyncio.get_running_loop()
        if deadline <= loop.time():
            raise _late()
        if (
            self._direct
            and self._version.inline
            and not self._running
            and not self._waiting
            and samples_of(inputs) <= self._inline_most
        ):
            return self._at_once(inputs)
        waiting = self._enqueue(inputs, loop)
        timer = loop.call_at(deadline, self._expire, waiting)
        try:
            outcome = await waiting.future
        finally:
            timer.cancel()
            self._leave(waiting)
        if isinstance(outcome, RequestError):
            raise outcome
        return outcome

    async def drain(self) -> None:
        """Answer all that waits, then refuse what comes; take the version out of use before."""
        self._draining = True
        self._pump()
        while self._waiting or self._running:
            await self._idle.wait()
        self.close()

    def close(self) -> None:
        """Refuse all that waits or runs, and what comes; the answer of a running call is lost."""
        self._closed, self._direct = True, False
        for each in (*self._running, *self._waiting):
            each.settle(_gone())
        self._waiting.clear()
        self._set_idle()
        if self._alarm is not None:
            self._alarm.cancel()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None  # no cycle keeps the model in memory

    def _at_once(self, inputs: Arrays) -> dict[str, Array]:
        """In the event loop: a call that is over before a thread would have begun."""
        begun = time.perf_counter()
        try:
            return self._joiner.run_one(inputs)
        finally:
            if self._on_batch is not None:
                self._on_batch(1, samples_of(inputs), time.perf_counter() - begun)

    def _enqueue(self, inputs: Arrays, loop: asyncio.AbstractEventLoop) -> Waiting:
        if self._closed:
            raise _gone()
        if len(self._waiting) >= self._limits.queue:
            raise OverloadError(
                f"{len(self._waiting)} requests wait for the model already; try again later",
                retry_after=self._retry_after(),
            )
        key = self._joiner.key(inputs)
        waiting = Waiting(inputs, key, loop.create_future(), loop.time())
        self._waiting.add(waiting)
        self._idle.clear()
        self._pump()
        return waiting

    def _retry_after(self) -> float:
        """Seconds until the queue of now is answered, by the pace of late."""
        return min(max(_RETRY[0], self._pace * len(self._waiting)), _RETRY[1])

    def _expire(self, waiting: Waiting) -> None:
        waiting.settle(_late())
        self._leave(waiting)

    def _leave(self, waiting: Waiting) -> None:
        """Take out of the queue what is needed no longer."""
        self._waiting.remove(waiting)
        self._set_idle()

    def _set_idle(self) -> None:
        if not self._waiting and not self._running:
            self._idle.set()

    def _pump(self) -> None:
        """Start a call if the model is free and the first request need not wait for others."""
        if self._running:
            return
        while self._waiting and not self._running:
            batch, is_full = self._waiting.next()
            if not (is_full or self._draining or self._direct or batch[0] is self._due):
                self._set_alarm(batch[0])
                return
            for each in batch:
                self._waiting.remove(each)
            self._due = None
            # Cancelled ones leave the queue when their task runs next, which may be after this.
            self._running = [each for each in batch if not each.future.done()]
        if self._running:
            self._start(self._running)

    def _start(self, batch: Sequence[Waiting]) -> None:
        if self._worker is None:
            self._worker = Worker(self._work, self._finish, asyncio.get_running_loop())
        self._worker.put(batch)

    def _work(self, batch: Sequence[Waiting]) -> _Done:
        """In the worker's thread."""
        return self._joiner.run([each.inputs for each in batch])

    def _set_alarm(self, head: Waiting) -> None:
        if self._alarm_of is head:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        loop = asyncio.get_running_loop()
        self._alarm_of = head
        self._alarm = loop.call_at(head.since + self._limits.delay, self._ring, head)

    def _ring(self, head: Waiting) -> None:
        self._alarm = self._alarm_of = None
        self._due = head
        self._pump()

    def _finish(self, batch: Sequence[Waiting], done: _Done | BaseException) -> None:
        """A call is over: back in the event loop."""
        self._running = ()
        if isinstance(done, BaseException):
            done = [_failed(done) for _ in batch], []
        outcomes, calls = done
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.settle(outcome)
        pace = sum(seconds for _, _, seconds in calls) / len(batch)
        self._pace += (pace - self._pace) * (0.1 if self._pace else 1.0)
        self._pump()
        self._set_idle()
        if self._on_batch is not None:
            for call in calls:
                self._on_batch(*call)


def _late() -> DeadlineError:
    return DeadlineError("the answer would come too late; ask for less at a time, or later")


def _gone() -> UnavailableError:
    return UnavailableError("this version was taken out of service; ask again", retry_after=1)


def _failed(cause: BaseException) -> FailedError:
    failed = FailedError("the model failed; the server's log says why")
    failed.__cause__ = cause
    return failed
