"""The command `watch`: answers files as they appear in a folder, or lines of standard input.

One JSON line an item on stdout: what `run --json` says, or `error`, and which item it was. With
--hop lines are samples of one stream (stream.py), of which few have an answer. A bad item gives an
error line and the next one is taken. Nothing is taken before the answer to the last item is
written: whoever reads slowly slows this down, and memory holds one item (and, of standard input,
the 8 KiB that were read with it).

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
from functools import partial
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, Callable, Optional

from edge.answer import answer
from edge.cli import message
from edge.errors import EdgeError, InputError
from edge.model import Model
from edge.opening import open_model
from edge.present import as_json
from edge.raw import MAX_BYTES, decoded, from_content, from_line, suffix_of

_Said = Optional[dict[str, Any]]
"""What is printed about an item; None where nothing is to be said yet."""
_LEFT_ALONE = (".tmp", ".part")


def watch(options: SimpleNamespace) -> int:
    """The command; ends with 0 at the end of standard input, with --once, or when told to stop.

    Raises EdgeError if the model or the folder cannot be used, OSError if files cannot be moved.
    """
    _check(options)
    model = open_model(options)
    take_line = _line_taker(model, options)
    watcher = _Watcher()
    before = {s: signal.signal(s, watcher.stop) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        if options.source == "-":
            _lines(watcher, take_line)
        else:
            _folder(watcher, _file_taker(model, options), Path(options.source), options)
    except _Stopped:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


class _Stopped(Exception):  # noqa: N818 - no error: how waiting ends
    """Raised in the main thread when a signal comes while it waits."""


class _Watcher:
    """Does one item after another; a signal waits for the item at hand."""

    def __init__(self) -> None:
        self._busy = self._stopping = False

    def stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if not self._busy:
            raise _Stopped

    def take(
        self,
        source: str | int,
        work: Callable[[], _Said],
        after: Callable[[bool], None] | None = None,
    ) -> None:
        """Print what `work` says about an item, if it does; `after` is told whether it was good."""
        self._busy = True
        try:
            good = self._print(source, work)
            if after is not None:
                after(good)
        finally:
            self._busy = False
        if self._stopping:
            raise _Stopped

    def _print(self, source: str | int, work: Callable[[], _Said]) -> bool:
        good = True
        try:
            said = work()
        except (EdgeError, OSError, MemoryError) as error:
            said, good = {"error": message(error)}, False
        if said is not None:
            print(json.dumps({"source": source, **said}), flush=True)
        return good


def _check(options: SimpleNamespace) -> None:
    """Raise InputError if options of a stream are given without one."""
    if options.hop is not None and options.source != "-":
        raise InputError("--hop is about lines of standard input; give - instead of a folder")
    for name in ("window", "average"):
        if getattr(options, name) is not None and options.hop is None:
            raise InputError(f"--{name} is of a stream of samples: give --hop, too")


def _line_taker(model: Model, options: SimpleNamespace) -> Callable[[bytes], _Said]:
    """From a line to what is said about it: lines are items, or with --hop samples of a stream."""
    preprocess = not options.no_preprocess
    if options.hop is not None:
        from edge.stream import Stream

        return Stream(
            model,
            options.hop,
            window=options.window,
            average=options.average or 1,
            preprocess=preprocess,
        ).take

    def take(line: bytes) -> _Said:
        return as_json(answer(model, from_line(model, decoded(line)), preprocess=preprocess))

    return take


def _lines(watcher: _Watcher, take: Callable[[bytes], _Said]) -> None:
    number = 0
    while True:
        line = sys.stdin.buffer.readline(MAX_BYTES + 1)
        if not line:
            return
        number += 1
        rest = line
        while len(line) > MAX_BYTES and rest and not rest.endswith(b"\n"):
            rest = sys.stdin.buffer.readline(MAX_BYTES)
        if line.strip():
            watcher.take(number, partial(take, line))


def _folder(
    watcher: _Watcher, take: Callable[[Path], _Said], folder: Path, options: SimpleNamespace
) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder\ngive one, or - for standard input")
    for name in ("done", "failed"):
        (folder / name).mkdir(exist_ok=True)
    seen: dict[str, tuple[int, int]] = {}
    looks = 0
    while True:
        now = dict(_candidates(folder))
        for name in [name for name, state in now.items() if seen.get(name) == state]:
            watcher.take(name, partial(take, folder / name), partial(_move, folder, name))
        seen, looks = now, looks + 1
        if options.once and looks > 1:
            return
        time.sleep(options.poll)


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


def _file_taker(model: Model, options: SimpleNamespace) -> Callable[[Path], _Said]:
    def take(path: Path) -> _Said:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(f"{path.name}: over the limit of {MAX_BYTES} bytes")
        raw = from_content(model, content, suffix_of(path.name))
        return as_json(answer(model, raw, preprocess=not options.no_preprocess))

    return take


def _move(folder: Path, name: str, good: bool) -> None:
    target = folder / ("done" if good else "failed") / name
    number = 0
    while target.exists():  # an older file of the same name is kept
        number += 1
        target = target.with_name(f"{name}.{number}")
    (folder / name).replace(target)
