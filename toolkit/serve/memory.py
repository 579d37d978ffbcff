"""Gives the memory of models that have gone back to the system.

Versions are opened in threads, and glibc keeps what a thread has freed for the next one of that
thread's arena: after some swaps a server would hold several models that nobody uses.
"""

import asyncio
import ctypes
from collections.abc import Callable

from toolkit.serve.worker import in_thread

_SECONDS = 1.0  # until the last reference to a version has gone


class Memory:
    """Trims once after any number of events; of one event loop."""

    def __init__(self) -> None:
        self._trim = _trimmer()
        self._task: asyncio.Task[None] | None = None

    def freed(self) -> None:
        """A version has gone, or could not be loaded."""
        if self._trim is not None and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._later(self._trim))

    async def _later(self, trim: Callable[[], object]) -> None:
        await asyncio.sleep(_SECONDS)
        await in_thread(trim)


def _trimmer() -> Callable[[], object] | None:
    """The malloc_trim of glibc; None where the C library has none."""
    try:
        function = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    function.argtypes = [ctypes.c_size_t]
    return lambda: function(0)
