"""Gives the memory of models that have gone back to the system.

Versions are opened in threads, and glibc keeps what a thread has freed for the next one of that
thread's arena. Blocks that were once given back are even taken from arenas from then on, whatever
their size: after some swaps a server would hold several models that nobody uses.
"""

import asyncio
import ctypes
from collections.abc import Callable
from typing import Any

from toolkit.serve.worker import in_thread

_SECONDS = 1.0  # until the last reference to a version has gone
_MMAP_THRESHOLD = -3  # of mallopt, as malloc.h has it
_LARGE = 1 << 20  # bytes; a block of them is always given back at once


class Memory:
    """Trims once after any number of events; of one event loop."""

    def __init__(self) -> None:
        mallopt = _of_c("mallopt", ctypes.c_int, ctypes.c_int)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _LARGE)
        self._trim = _trimmer()
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def freed(self) -> None:
        """A version has gone, or could not be loaded."""
        if self._trim is None:
            return
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._later(self._trim))

    async def _later(self, trim: Callable[[], object]) -> None:
        while self._again:
            self._again = False
            await asyncio.sleep(_SECONDS)
            await in_thread(trim)


def _trimmer() -> Callable[[], object] | None:
    function = _of_c("malloc_trim", ctypes.c_size_t)
    return None if function is None else lambda: function(0)


def _of_c(name: str, *takes: Any) -> Callable[..., object] | None:
    """A function of the C library; None where it has none of this name, as those but glibc."""
    try:
        function = ctypes.CDLL(None)[name]
    except (AttributeError, OSError, TypeError):
        return None
    function.argtypes = takes
    return function
