"""Where a function runs with a framework loaded, and how its crash reaches the user.

The parent process loads no framework. A conversion or a check runs in a child process of its own,
or in a worker that has the framework loaded already (`toolkit.train.group`); both are a `Host`.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from toolkit.errors import ToolkitError

_TAIL_LINES = 12
_LOOK_SECONDS = 0.2
_EXIT_SECONDS = 2.0
_STARTING = threading.Lock()


class HostError(ToolkitError):
    """The process died or the function raised; `detail` holds its traceback or last lines."""


class Host(ABC):
    """Runs functions elsewhere; functions and arguments must be picklable."""

    @abstractmethod
    def submit(self, function: Callable[..., Any], *args: Any, log: Path) -> "Future[Any]":
        """Run `function(*args)`, its output written to `log`.

        The future raises the function's own ToolkitError, or HostError for anything else.
        """


class ChildProcesses(Host):
    """A fresh process for each function; at most `parallel` at a time.

    Args:
        parallel: processes at a time, or None for one a CPU, at most four.
        timeout: seconds after which a process is killed.
        memory: bytes of resident memory above which it is killed, or None for nine tenths of the
            machine's.
    """

    def __init__(
        self, parallel: int | None = None, timeout: float = 1800, memory: int | None = None
    ) -> None:
        self._pool = ThreadPoolExecutor(parallel or min(4, len(os.sched_getaffinity(0))))
        self._timeout, self._memory = timeout, memory or _machine_memory() * 9 // 10
        self._processes: set[Any] = set()
        self._closed = False

    def submit(self, function: Callable[..., Any], *args: Any, log: Path) -> "Future[Any]":
        """Start a process for the function as soon as one may run."""
        return self._pool.submit(self._run, function, args, log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._closed = True  # before the list is made: what starts later stops by itself
        for process in list(self._processes):
            process.kill()
        self._pool.shutdown()

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...], log: Path) -> Any:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(theirs, function, args, log), daemon=True)
        with _main_hidden():
            process.start()
        theirs.close()
        self._processes.add(process)
        try:
            if self._closed:
                raise HostError("was stopped before it began")
            value = self._receive(ours, process, log)
            process.join(_EXIT_SECONDS)  # ended by itself, it leaves no semaphores behind
            return value
        finally:
            process.kill()
            process.join()
            self._processes.discard(process)

    def _receive(self, pipe: Connection, process: Any, log: Path) -> Any:
        deadline = time.monotonic() + self._timeout
        while not pipe.poll(_LOOK_SECONDS):
            if time.monotonic() > deadline:
                raise HostError(f"gave no answer within {self._timeout:g} s", detail=tail(log))
            if (used := _resident(process.pid)) > self._memory:
                raise HostError(
                    f"took {used / 1e9:.1f} GB of memory, more than the "
                    f"{self._memory / 1e9:.1f} GB that it may, and was ended",
                    detail=tail(log),
                )
        try:
            succeeded, value = pipe.recv()
        except (EOFError, OSError):  # nothing, or half an answer
            process.join()
            raise HostError(describe_exit(process.exitcode), detail=tail(log)) from None
        if succeeded:
            return value
        raise value


@contextlib.contextmanager
def _main_hidden() -> Iterator[None]:
    """Keep a child from importing the caller's script, which would run all of it once more.

    Nothing of it is needed there: functions are the toolkit's own, recipes travel as text. So a
    script that calls a stage at its top needs no `if __name__ == "__main__"`.
    """
    names = vars(sys.modules["__main__"])
    with _STARTING:
        kept: dict[str, Any] = {n: names[n] for n in ("__file__", "__spec__") if n in names}
        names.update(dict.fromkeys(kept))
        try:
            yield
        finally:
            names.update(kept)


def then(first: "Future[Any]", start: Callable[[Any], "Future[Any]"]) -> "Future[Any]":
    """Chain: when `first` has a value, start the second with it; errors pass through."""
    result: Future[Any] = Future()

    def pass_on(done: "Future[Any]") -> None:
        try:
            result.set_result(done.result())
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            result.set_exception(error)

    def begin(done: "Future[Any]") -> None:
        try:
            start(done.result()).add_done_callback(pass_on)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            result.set_exception(error)

    first.add_done_callback(begin)
    return result


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where that cannot be known."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def describe_exit(code: int | None) -> str:
    """Say how a process ended: 'killed by SIGSEGV', 'exit code 3'."""
    if code is not None and code < 0:
        names = {number.value: number.name for number in signal.Signals}
        return f"killed by {names.get(-code, f'signal {-code}')}"
    return f"ended with exit code {code}"


def tail(log: Path) -> str:
    """The last lines of a log, or '' when there is none."""
    with contextlib.suppress(OSError):
        lines = log.read_text(errors="replace").rstrip().splitlines()
        return "\n".join(lines[-_TAIL_LINES:])
    return ""


def as_host_error(error: Exception) -> ToolkitError:
    """Keep the toolkit's own errors; wrap any other with its traceback as text."""
    if isinstance(error, ToolkitError):
        return error
    lines = str(error).strip().splitlines() or [""]
    line = lines[-1] if lines[0].endswith(":") else lines[0]  # 'in user code:' says nothing
    summary = f"{type(error).__name__}: {line.strip()}"
    return HostError(summary, detail="".join(traceback.format_exception(error)).rstrip())


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Send this process's stdout and stderr, C++ libraries included, to the end of `log`."""
    saved = [os.dup(1), os.dup(2)]
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    try:
        yield
    finally:
        for descriptor, original in zip((1, 2), saved, strict=True):
            os.dup2(original, descriptor)
            os.close(original)


def _child(
    pipe: Connection, function: Callable[..., Any], args: tuple[Any, ...], log: Path
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and kills
    with output_to(log):
        try:
            pipe.send((True, function(*args)))
        except Exception as error:  # noqa: BLE001 - it goes to the parent, whatever it is
            traceback.print_exc()
            pipe.send((False, as_host_error(error)))
    pipe.close()
