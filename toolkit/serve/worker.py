"""A thread that does one thing at a time for an event loop."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Worker(Generic[Task, Result]):
    """Hands a task from an event loop to a thread of its own, and the result back.

    The thread ends after `stop`, or with the process: a task that hangs does not keep it alive.

    Args:
        work: done in the thread.
        done: called in the loop with the task, and with the result or what `work` raised.
        loop: where `done` runs; tasks come from there, too.
    """

    def __init__(
        self,
        work: Callable[[Task], Result],
        done: Callable[[Task, Result | BaseException], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._work, self._done, self._loop = work, done, loop
        self._tasks: queue.SimpleQueue[tuple[Task] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="toolkit-model", daemon=True).start()

    def put(self, task: Task) -> None:
        """Have it done after those before it."""
        self._tasks.put((task,))

    def stop(self) -> None:
        """End the thread after the tasks that it was given."""
        self._tasks.put(None)

    def _run(self) -> None:
        while (item := self._tasks.get()) is not None:
            self._do(*item)
            del item  # an idle thread keeps nothing alive

    def _do(self, task: Task) -> None:
        result: Result | BaseException
        try:
            result = self._work(task)
        except BaseException as error:  # noqa: BLE001 - nobody may wait for ever
            result = error
        try:
            self._loop.call_soon_threadsafe(self._done, task, result)
        except RuntimeError:  # the loop is closed: nobody waits
            return


async def in_thread(function: Callable[[], Result]) -> Result:
    """What `function` returns or raises, from a thread of its own.

    Unlike `asyncio.to_thread`, a call that hangs does not keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def done(_: None, result: Result | BaseException) -> None:
        if future.done():  # cancelled
            return
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)

    worker = Worker[None, Result](lambda _: function(), done, loop)
    worker.put(None)
    worker.stop()
    return await future
