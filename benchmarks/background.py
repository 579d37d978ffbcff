"""A command that runs in the background, watched and disturbed from outside."""

import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from benchmarks.harness import ENVIRONMENT, ROOT

_MARK = "TOOLKIT_BENCHMARK_MARK"
_SECONDS = 300.0
_LOOK_SECONDS = 0.02


class Background:
    """A running command; leaving the `with` block ends it if it still runs.

    All processes that it starts carry a mark in their environment, by which they are found.
    """

    def __init__(self, command: list[str]) -> None:
        self._mark = f"{_MARK}={secrets.token_hex(8)}"
        name, value = self._mark.split("=")
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | ENVIRONMENT | {name: value},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[tuple[float, str]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Background":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_SECONDS)
        self._reader.join()

    def wait_until(self, happened: Callable[[], bool]) -> None:
        """Look every 20 ms.

        Raises:
            RuntimeError: the command ended before, or five minutes have passed.
        """
        deadline = time.monotonic() + _SECONDS
        while not happened():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"it did not happen; the command said:\n{self._said()}")
            time.sleep(_LOOK_SECONDS)

    def wait_for_line(self, words: str) -> float:
        """Wait for a message that holds `words`; return when it came, in seconds since 1970."""
        self.wait_until(lambda: any(words in line for _, line in self._lines))
        return next(at for at, line in self._lines if words in line)

    def wait(self, code: int) -> None:
        """Wait for the end.

        Raises:
            RuntimeError: the exit code was another.
        """
        if self._process.wait(_SECONDS) != code:
            raise RuntimeError(f"ended with {self._process.returncode}:\n{self._said()}")

    def kill_one(self, title: str) -> float:
        """SIGKILL the youngest process whose title begins so; return when, in seconds since 1970.

        Raises:
            RuntimeError: there is none.
        """
        found = [pid for pid in self._pids() if _read(pid, "cmdline").startswith(title)]
        if not found:
            raise RuntimeError(f"no process called {title!r}")
        at = time.time()
        os.kill(max(found), signal.SIGKILL)
        return at

    def _pids(self) -> list[int]:
        everything = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in everything if self._mark in _read(pid, "environ").split("\0")]

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self._lines.append((time.time(), line))

    def _said(self) -> str:
        return "".join(line for _, line in self._lines[-20:])


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:  # it has ended meanwhile
        return ""
