"""The models of a server: found on the disk, loaded beside what answers, swapped without a gap.

A caller calls `Repository.find`, `Version.prepare` and `Batcher.submit` of what was found without
awaiting in between: then the version that was found answers, even if it is replaced meanwhile.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.errors import NotFoundError, ToolkitError, UsageError
from toolkit.serve.batcher import Batcher, OnBatch
from toolkit.serve.errors import RequestError, UnknownError
from toolkit.serve.opening import open_version
from toolkit.serve.settings import Batching, Loading
from toolkit.serve.shelf import AVAILABLE, END, LOADING, START, UNLOADING, Served, Shelf, State
from toolkit.serve.watch import Found, Settled, Source, check_names, read_labels, scan
from toolkit.serve.worker import in_thread

__all__ = [
    "AVAILABLE", "END", "LOADING", "START", "UNLOADING",
    "Repository", "Served", "Source", "State",
]  # fmt: skip


class Repository:
    """All models; of one event loop.

    Args:
        sources: where they are.
        loading: what it takes to be served.
        batching: how requests are joined.
        on_event: told of what happens: {"event": "loaded", "refused", "unloaded" or "unreadable",
            "model": name, "version": number, and "error" or facts}.
        on_batch: told of every call of a model: name, version, samples, seconds.
        keep: so many of the newest good versions of a model are served.

    Attributes:
        stopping: set when the server is to end; it is not ready then, and answers still.

    Raises:
        UsageError: two sources have the same name, or there is none.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        loading: Loading,
        batching: Batching,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        on_batch: Callable[[str, int, int, float], None] | None = None,
        *,
        keep: int = 1,
    ) -> None:
        check_names(sources)
        self._loading, self._batching = loading, batching
        self._on_event, self._on_batch = on_event, on_batch
        self.stopping = False
        self._one_at_a_time = asyncio.Lock()  # loading measures time
        self._sources = {source.name: source for source in sources}
        self._shelves = {
            name: Shelf(name, partial(self._load, name), self._tell, keep) for name in self._sources
        }
        self._settled = {name: Settled() for name in self._sources}
        self._unreadable: dict[str, str] = {}
        self._labels: dict[str, Mapping[str, int]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Of the models, in the order of their sources."""
        return tuple(self._shelves)

    @property
    def ready(self) -> bool:
        """Whether every model has a version that answers, and the server does not stop."""
        return not self.stopping and all(shelf.served for shelf in self._shelves.values())

    def find(self, name: str, version: int | None = None, label: str | None = None) -> Served:
        """The newest good version, or the one that is named or labelled.

        Raises:
            RequestError: both version and label are given.
            UnknownError: there is no such model, version or label; lists what there is.
            UnavailableError: it is known and does not answer; says why.
        """
        if version is not None and label is not None:
            raise RequestError("give a version or a label, not both")
        return self._shelf(name).find(version, label)

    def served(self) -> list[Served]:
        """All versions that answer, the newest of a model first."""
        return [
            shelf.served[number]
            for shelf in self._shelves.values()
            for number in sorted(shelf.served, reverse=True)
        ]

    def status(self, name: str, version: int | None = None) -> list[State]:
        """What became of the versions of a model, the newest first.

        Raises:
            UnknownError: there is no such model or version; lists what there is.
        """
        states = self._shelf(name).status()
        if version is None:
            return states
        if all(state.version != version for state in states):
            there = ", ".join(str(state.version) for state in states) or "none"
            raise UnknownError(f"model {name} has no version {version}; it has {there}")
        return [state for state in states if state.version == version]

    async def start(self) -> None:
        """Load all models.

        Raises:
            ToolkitError: a model has no version that can be served; nothing answers.
        """
        for name, shelf in self._shelves.items():
            path = self._sources[name].path
            try:
                found, labels = await in_thread(partial(_look, path))
            except OSError as error:
                why = error.strerror or error
                raise NotFoundError(f"{path}: {why}; check the path") from error
            self._settled[name].of(found)
            self._labels[name] = labels
            await shelf.update(found, found, labels)
            failure, shelf.failure = shelf.failure, None
            if shelf.served:
                continue
            if isinstance(failure, ToolkitError):
                raise failure
            if failure is not None:
                raise ToolkitError(f"{path}: cannot be loaded: {failure}") from failure
            raise UsageError(
                f"{path}: no versions; put each into a folder named by its number, such as 1"
            )

    async def watch(self, seconds: float = 1.0) -> None:
        """Look every `seconds` for new, changed and deleted versions, until cancelled.

        A version is tried when it did not change between two looks. One that is refused is not
        tried again until its files change.
        """
        async with asyncio.TaskGroup() as group:
            for name in self.names:
                group.create_task(self._watch(name, seconds))

    async def stop(self, seconds: float) -> None:
        """Answer what waits, for so long at most; then refuse the rest and all that comes."""
        self.stopping = True
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(shelf.drain() for shelf in self._shelves.values()))
        except TimeoutError:
            for shelf in self._shelves.values():
                shelf.close()

    async def _watch(self, name: str, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await self._look_again(name)
            except (OSError, UsageError) as error:
                self._complain(name, str(error))
            except Exception as error:  # noqa: BLE001 - the next look may do better
                self._complain(name, f"{type(error).__name__}: {error}")
            else:
                self._unreadable.pop(name, None)
            self._shelves[name].failure = None  # its traceback would keep a model in memory

    async def _look_again(self, name: str) -> None:
        path = self._sources[name].path
        found = await in_thread(partial(scan, path))
        problem: Exception | None = None
        try:
            self._labels[name] = await in_thread(partial(read_labels, path))
        except (OSError, UsageError) as error:  # the labels of before stay
            problem = error
        settled = self._settled[name].of(found)
        await self._shelves[name].update(found, settled, self._labels[name])
        if problem is not None:
            raise problem

    def _complain(self, name: str, error: str) -> None:
        """Once for each problem, however often it is met."""
        if self._unreadable.get(name) != error:
            self._unreadable[name] = error
            self._tell({"event": "unreadable", "model": name, "error": error})

    async def _load(self, name: str, number: int, path: Path) -> Served:
        open_it = partial(open_version, name, number, path, self._loading, self._batching.size)
        async with self._one_at_a_time:
            version = await in_thread(open_it)
        on_batch: OnBatch | None = None
        if self._on_batch is not None:
            tell = self._on_batch

            def on_batch(_: int, samples: int, seconds: float) -> None:
                tell(name, number, samples, seconds)

        return Served(version, Batcher(version, self._batching, on_batch))

    def _shelf(self, name: str) -> Shelf:
        found = self._shelves.get(name)
        if found is None:
            raise UnknownError(f"no model {name!r:.120}; there is {', '.join(self.names)}")
        return found

    def _tell(self, event: Mapping[str, Any]) -> None:
        if self._on_event is not None:
            self._on_event(dict(event))


def _look(path: Path) -> tuple[dict[int, Found], dict[str, int]]:
    return scan(path), read_labels(path)
