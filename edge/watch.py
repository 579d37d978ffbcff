"""The command `watch`: answers files as they appear in a folder, or lines of standard input.

One JSON line an item on stdout: what `run --json` says, or `error`, and which item it was. A bad
item gives an error line and the next one is taken. Nothing is taken before the answer to the last
item is written: whoever reads slowly slows this down, and memory holds one item (and, of standard
input, the 8 KiB that were read with it).

An answered file is moved to the folder's `done`, a bad one to `failed`, after its line is written:
started again, it goes on with what is left. A file whose line was written when the power went is
answered twice, none is left out. A file is taken when neither its size nor its time changed between
two looks; names that begin with a dot or end in .tmp or .part are left alone, so that a writer can
rename its file when it is whole.

SIGTERM and SIGINT end it after the item at hand.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, Callable

import numpy as np

from edge.answer import answer
from edge.cli import message
from edge.errors import EdgeError, InputError
from edge.model import Model
from edge.opening import open_model
from edge.present import as_json
from edge.raw import from_content, from_line, suffix_of

MAX_BYTES = 256 << 20
"""Of a file or a line."""
_LEFT_ALONE = (".tmp", ".part")


def watch(options: SimpleNamespace) -> int:
    """The command; ends with 0 at the end of standard input, with --once, or when told to stop.

    Raises EdgeError if the model or the folder cannot be used, OSError if files cannot be moved.
    """
    model = open_model(options)
    watcher = _Watcher(model, preprocess=not options.no_preprocess)
    before = {s: signal.signal(s, watcher.stop) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        if options.source == "-":
            _lines(watcher)
        else:
            _folder(watcher, Path(options.source), options.poll, once=options.once)
    except _Stopped:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


class _Stopped(Exception):  # noqa: N818 - no error: how waiting ends
    """Raised in the main thread when a signal comes while it waits."""


class _Watcher:
    """Answers one item after another; a signal waits for the item at hand."""

    def __init__(self, model: Model, *, preprocess: bool) -> None:
        self._model, self._preprocess = model, preprocess
        self._busy = self._stopping = False

    def stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if not self._busy:
            raise _Stopped

    def take(
        self,
        source: str | int,
        read: Callable[[Model], dict[str, np.ndarray]],
        after: Callable[[bool], None] | None = None,
    ) -> None:
        """Answer one item and print its line; then `after` is told whether it was good."""
        self._busy = True
        try:
            line, good = self._answer(source, read)
            print(json.dumps(line), flush=True)
            if after is not None:
                after(good)
        finally:
            self._busy = False
        if self._stopping:
            raise _Stopped

    def _answer(
        self, source: str | int, read: Callable[[Model], dict[str, np.ndarray]]
    ) -> tuple[dict[str, Any], bool]:
        try:
            answers = answer(self._model, read(self._model), preprocess=self._preprocess)
        except (EdgeError, OSError, MemoryError) as error:
            return {"source": source, "error": message(error)}, False
        return {"source": source, **as_json(answers)}, True


def _lines(watcher: _Watcher) -> None:
    number = 0
    while True:
        line = sys.stdin.buffer.readline(MAX_BYTES + 1)
        if not line:
            return
        number += 1
        too_long = len(line) > MAX_BYTES
        while too_long and line and not line.endswith(b"\n"):
            line = sys.stdin.buffer.readline(MAX_BYTES)
        if line.strip() or too_long:
            watcher.take(number, _line_reader(b"" if too_long else line))


def _line_reader(line: bytes) -> Callable[[Model], dict[str, np.ndarray]]:
    def read(model: Model) -> dict[str, np.ndarray]:
        if not line:
            raise InputError(f"the line is longer than {MAX_BYTES} bytes")
        try:
            return from_line(model, line.decode())
        except UnicodeDecodeError as error:
            raise InputError(f"not UTF-8: {error}") from error

    return read


def _folder(watcher: _Watcher, folder: Path, poll: float, *, once: bool) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder\ngive one, or - for standard input")
    for name in ("done", "failed"):
        (folder / name).mkdir(exist_ok=True)
    seen: dict[str, tuple[int, int]] = {}
    looks = 0
    while True:
        now = dict(_candidates(folder))
        for name in [name for name, state in now.items() if seen.get(name) == state]:
            watcher.take(name, _file_reader(folder / name), _mover(folder, name))
        seen, looks = now, looks + 1
        if once and looks > 1:
            return
        time.sleep(poll)


def _candidates(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name, and size and time of every file, by name."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name.startswith(".") or entry.name.endswith(_LEFT_ALONE):
            continue
        try:
            if entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                yield entry.name, (status.st_size, status.st_mtime_ns)
        except FileNotFoundError:  # gone between the two
            continue


def _file_reader(path: Path) -> Callable[[Model], dict[str, np.ndarray]]:
    def read(model: Model) -> dict[str, np.ndarray]:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(f"{path.name}: over the limit of {MAX_BYTES} bytes")
        return from_content(model, content, suffix_of(path.name))

    return read


def _mover(folder: Path, name: str) -> Callable[[bool], None]:
    def move(good: bool) -> None:
        target = folder / ("done" if good else "failed") / name
        number = 0
        while target.exists():  # an older file of the same name is kept
            number += 1
            target = target.with_name(f"{name}.{number}")
        (folder / name).replace(target)

    return move
