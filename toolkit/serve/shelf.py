"""The versions of one model: which are loaded, which answer, which were refused.

What lies on the disk is told to it (watch.py); loading is done by a function that it is given. All
of it runs in the event loop.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.serve.batcher import Batcher
from toolkit.serve.errors import UnavailableError, UnknownError
from toolkit.serve.version import Version
from toolkit.serve.watch import Found, Print

START, LOADING, AVAILABLE = "START", "LOADING", "AVAILABLE"
UNLOADING, END = "UNLOADING", "END"
_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/:]+/)*")  # clients learn no paths of this machine
_ENDED = 16  # versions that are remembered after they have gone

Load = Callable[[int, Path], Awaitable["Served"]]
Tell = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, eq=False)
class Served:
    """A version that answers, and the queue before it."""

    version: Version
    batcher: Batcher


@dataclass(frozen=True)
class State:
    """What became of a version.

    Attributes:
        version: its number.
        state: one of START LOADING AVAILABLE UNLOADING END.
        error: why it was refused, or its replacement; without paths.
    """

    version: int
    state: str
    error: str = ""


class Shelf:
    """One model.

    Args:
        name: of the model.
        load: opens a version; raises ToolkitError.
        tell: told of what happens: event, model, version, and error or facts.
        keep: so many of the newest good versions are served, and all that have a label.

    Attributes:
        served: the versions that answer, by number.
        failure: why the version that was tried last was refused; for `Repository.start`.
    """

    def __init__(self, name: str, load: Load, tell: Tell, keep: int = 1) -> None:
        self._name, self._load, self._tell, self._keep = name, load, tell, keep
        self.served: dict[int, Served] = {}
        self.failure: Exception | None = None
        self._newest = 0
        self._labels: Mapping[str, int] = {}
        self._found: Mapping[int, Found] = {}
        self._prints: dict[int, Print] = {}  # of what is served
        self._refused: dict[int, tuple[Print, str]] = {}
        self._loading: int | None = None
        self._ended: dict[int, None] = {}
        self._draining: dict[asyncio.Task[None], Served] = {}

    def find(self, version: int | None = None, label: str | None = None) -> Served:
        """A version that answers; see `Repository.find`."""
        if label is not None:
            if label not in self._labels:
                known = ", ".join(sorted(self._labels)) or "none"
                raise UnknownError(
                    f"model {self._name} has no label {label!r:.100}; it has {known}"
                )
            version = self._labels[label]
        found = self.served.get(self._newest if version is None else version)
        if found is None:
            raise self._missing(version, label)
        return found

    def status(self) -> list[State]:
        """All versions that are known, the newest first."""
        draining = {each.version.number for each in self._draining.values()}
        known = {*self._found, *self.served, *draining, *self._ended}
        return [self._state(number, draining) for number in sorted(known, reverse=True)]

    async def update(
        self, found: Mapping[int, Found], settled: Iterable[int], labels: Mapping[str, int]
    ) -> None:
        """Load what is wanted by now, then unload what is not.

        Args:
            found: what lies on the disk.
            settled: those that do not change just now; others are not tried yet.
            labels: version by label.
        """
        self._found, self._labels = found, labels
        self._refused = {
            number: refused
            for number, refused in self._refused.items()
            if number in found and found[number].print == refused[0]
        }
        wanted: set[int] = set()
        ready = set(settled)
        for number in sorted(found, reverse=True):
            if len(wanted) >= self._keep and number not in labels.values():
                continue
            if await self._have(number, found[number], number in ready):
                wanted.add(number)
                self._newest = max(wanted)
        # With nothing good on the disk, what was loaded before goes on answering.
        for number in [n for n in self.served if wanted and n not in wanted]:
            if number not in labels.values():
                self._unload(number)

    async def drain(self) -> None:
        """Answer all that waits, in all versions."""
        for number in list(self.served):
            self._unload(number)
        while self._draining:
            await asyncio.wait(self._draining)

    def close(self) -> None:
        """Refuse all that waits."""
        for each in (*self.served.values(), *self._draining.values()):
            each.batcher.close()

    async def _have(self, number: int, found: Found, is_settled: bool) -> bool:
        """Whether this version answers, after a try to load what is new of it."""
        is_known = found.print == self._prints.get(number) or number in self._refused
        if is_known or not is_settled or not found.print:  # an empty folder is on its way in
            return number in self.served
        self._loading = number
        try:
            if found.path is None:
                raise ToolkitError(found.problem)
            served = await self._load(number, found.path)
        except Exception as error:  # noqa: BLE001 - whatever it is, others go on answering
            self._refuse(number, found, error)
            return number in self.served
        finally:
            self._loading = None
        if number in self.served:
            self._unload(number)
        self.served[number], self._prints[number] = served, found.print
        proof = served.version.proof
        self._ended.pop(number, None)
        self._event("loaded", number, verified=proof.verified, samples=proof.samples)
        return True

    def _refuse(self, number: int, found: Found, error: Exception) -> None:
        text = str(error) if isinstance(error, ToolkitError) else f"{type(error).__name__}: {error}"
        self._event("refused", number, error=text)
        if found.path is not None:
            text = text.replace(str(found.path), f"{self._name} version {number}")
        self._refused[number] = found.print, _FOLDERS.sub("", text)
        self.failure = error

    def _unload(self, number: int) -> None:
        """Take it out of use at once; what it was found for is answered still."""
        served = self.served.pop(number)
        self._prints.pop(number)
        self._ended.pop(number, None)
        self._ended[number] = None
        while len(self._ended) > _ENDED:
            self._ended.pop(next(iter(self._ended)))
        task = asyncio.create_task(served.batcher.drain())
        self._draining[task] = served
        task.add_done_callback(self._drained)

    def _drained(self, task: asyncio.Task[None]) -> None:
        number = self._draining.pop(task).version.number
        self._event("unloaded", number)

    def _event(self, event: str, number: int, **facts: Any) -> None:
        self._tell({"event": event, "model": self._name, "version": number, **facts})

    def _state(self, number: int, draining: set[int]) -> State:
        error = self._refused[number][1] if number in self._refused else ""
        if number in self.served:
            return State(number, AVAILABLE, error)
        if number == self._loading:
            return State(number, LOADING)
        if error:
            return State(number, END, error)
        if number in draining:
            return State(number, UNLOADING)
        is_next = number > self._newest or number in self._labels.values()
        return State(number, START if is_next and number in self._found else END)

    def _missing(self, version: int | None, label: str | None) -> UnknownError | UnavailableError:
        states = {state.version: state for state in self.status()}
        there = ", ".join(map(str, sorted(self.served, reverse=True))) or "none"
        what = f"model {self._name}" + (f" version {version}" if version is not None else "")
        if label is not None:
            what = f"model {self._name} label {label}: version {version}"
        if version is not None and version not in states:
            if label is None:
                return UnknownError(f"{what}: there is none; available: {there}")
            return UnavailableError(f"{what} is not there; available: {there}")
        reasons = {START: "waits to be loaded", LOADING: "is being loaded"}
        if version is None:
            why = "; ".join(f"{s.version}: {s.error or s.state}" for s in states.values())
            return UnavailableError(f"{what} has no version that answers ({why})", retry_after=1)
        state = states[version]
        why = reasons.get(state.state) or (
            f"was refused: {state.error}" if state.error else "is served no longer"
        )
        return UnavailableError(f"{what} {why}; available: {there}", retry_after=1)
