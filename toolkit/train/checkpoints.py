"""Checkpoints of one training: which exist, which are good, and which are kept.

A checkpoint exists once it is listed in index.json with its SHA-256, and the list is written last:
whatever interrupts a save, the earlier checkpoints stay. What is in the files is for
`toolkit.train.checkpoint_files` to know, where they are for `toolkit.train.storage`.
"""

import datetime
import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import isfinite
from typing import Any

from toolkit.errors import DataError, NotFoundError, StorageError, UsageError
from toolkit.train.checkpoint_files import (
    FILE,
    FORMAT,
    DamagedError,
    Entry,
    Identity,
    decode,
    decode_index,
    encode,
    encode_index,
)
from toolkit.train.memory import better
from toolkit.train.state import State
from toolkit.train.storage import Storage

__all__ = ["FORMAT", "Checkpoints", "Entry", "Identity", "kept"]

_INDEX = "index.json"
_CUT_OFF = re.compile(r"\.(step-\d{9,}.*|index\.json\..*)\.tmp")  # left by a killed process


class Checkpoints:
    """The checkpoints of one training in one folder; one process writes there.

    Args:
        storage: the folder.
        identity: what is being trained.
        keep: how many of the newest are kept.
        best: a metric, such as 'val_loss', whose best checkpoint is kept too.

    Attributes:
        entries: what is listed, oldest first.

    Raises:
        NotFoundError: the bucket is missing.
        StorageError: the folder cannot be read.
    """

    def __init__(
        self, storage: Storage, identity: Identity, keep: int = 3, best: str | None = None
    ) -> None:
        if keep < 1:
            raise UsageError(f"{keep} checkpoints cannot be kept; keep 1 or more")
        self._storage, self._identity = storage, identity
        self._keep, self._best = keep, best
        self._notes: list[str] = []
        self._format, self._owner = FORMAT, identity
        self.entries: list[Entry] = []
        self._read_index()

    def save(self, state: State, row: Mapping[str, Any]) -> Entry:
        """Write a checkpoint, list it, and delete those that are no longer kept.

        Checkpoints of `state.step` and later are replaced by it: training went back before them.

        Args:
            state: to save.
            row: of the last finished epoch; its metric counts where it ended with `state.step`.

        Raises:
            RecipeError: an array or a fact is of a kind that cannot be saved.
            StorageError: it could not be written; the earlier checkpoints are as before.
            UsageError: the folder holds checkpoints of something else.
        """
        self._require_own()
        metric = _metric(row, self._best) if row.get("step", state.step) == state.step else None
        created = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        content = encode(state, self._identity, created, metric)
        name = f"step-{state.step:09}.safetensors"
        if any(entry.name == name for entry in self.entries):  # stays whole until it is replaced
            name = f"step-{state.step:09}-again.safetensors"
        entry = Entry(name, state.step, _sha256(content), len(content), created, metric)
        self._storage.write(name, content)
        earlier = [other for other in self.entries if other.step < state.step]
        entries = kept([*earlier, entry], self._keep, self._best)
        self._storage.write(_INDEX, encode_index(entries, self._identity))
        self.entries, self._owner = entries, self._identity
        self._clean()
        return entry

    def newest(self) -> tuple[State | None, list[str]]:
        """The newest good checkpoint, and a sentence for each thing that was found damaged.

        What is damaged is no longer listed, and is deleted by the next `save`.

        Raises:
            UsageError: the checkpoints are of another recipe, framework or newer toolkit; DataError
                of other data. Nothing was changed.
            StorageError: the folder cannot be read.
        """
        self._require_own()
        state = None
        while self.entries and state is None:
            entry = self.entries[-1]
            try:
                state = self._read(entry)
            except DamagedError as error:
                self.entries.pop()
                back = "starting from the beginning"
                if self.entries:
                    back = f"going back to {self.entries[-1].title}"
                self._notes.append(f"checkpoint {entry.title} is damaged ({error}); {back}")
        notes, self._notes = self._notes, []
        return state, notes

    def _read(self, entry: Entry) -> State:
        try:
            content = self._storage.read(entry.name)
        except NotFoundError:
            raise DamagedError("its file is missing") from None
        if _sha256(content) != entry.sha256:
            raise DamagedError("its SHA-256 differs")
        header, arrays = decode(content)
        return State(header["step"], arrays, header["facts"])

    def _read_index(self) -> None:
        """Read the list, or make it anew from the files."""
        try:
            index = decode_index(self._storage.read(_INDEX))
        except NotFoundError:
            self._rebuild("missing")
        except DamagedError:
            self._rebuild("damaged")
        else:
            self._format, self._owner, self.entries = index

    def _rebuild(self, why: str) -> None:
        names = [name for name in self._storage.names() if FILE.fullmatch(name)]
        found: dict[int, tuple[Entry, Identity]] = {}
        for name in names:
            with suppress(DamagedError, NotFoundError):
                content = self._storage.read(name)
                header, _ = decode(content)
                self._format = max(self._format, header["format"])
                if header["format"] <= FORMAT:
                    about = (header["step"], _sha256(content), len(content))
                    entry = Entry(name, *about, header["created"], header["metric"])
                    rival = found.get(entry.step)
                    if rival is None or rival[0].created < entry.created:
                        found[entry.step] = entry, header["identity"]
        if found:
            self._owner = found[max(found)][1]
            ordered = (found[step] for step in sorted(found))
            self.entries = [entry for entry, owner in ordered if owner == self._owner]
        if names:
            self._notes.append(
                f"the list of checkpoints at {self._storage.location} is {why}; "
                f"{len(self.entries)} of {len(names)} files are good and were listed again"
            )

    def _require_own(self) -> None:
        """Refuse checkpoints that are not of what is being trained."""
        place, owner, own = self._storage.location, self._owner, self._identity
        if self._format > FORMAT:
            raise UsageError(
                f"the checkpoints at {place} were written by a newer toolkit (format "
                f"{self._format}, this one knows {FORMAT}); update it, or train anew elsewhere"
            )
        if not self.entries or owner == own:
            return
        if owner.framework != own.framework:
            raise UsageError(
                f"the checkpoints at {place} are of framework {owner.framework!r}, not of "
                f"{own.framework!r}; use another --checkpoint-dir"
            )
        recipe = ["recipe"] * (owner.recipe != own.recipe)
        data = ["data"] * (owner.data != own.data)
        what = " and the ".join(recipe + data)
        kind = DataError if data else UsageError
        raise kind(
            f"the {what} changed since the checkpoints at {place} were written; "
            f"train anew, or restore the {what}"
        )

    def _clean(self) -> None:
        """Delete checkpoint files that are not listed; what fails is tried again next time."""
        listed = {entry.name for entry in self.entries}
        with suppress(StorageError, NotFoundError):
            for name in self._storage.names():
                if _CUT_OFF.fullmatch(name) or (FILE.fullmatch(name) and name not in listed):
                    self._storage.delete(name)


def kept(entries: Sequence[Entry], keep: int, best: str | None) -> list[Entry]:
    """Which of `entries` (oldest first) stay: the last `keep`, and the first best by `best`."""
    top: Entry | None = None
    for entry in entries:
        if best is None or entry.metric is None:
            continue
        if better(best, entry.metric, top.metric if top else None):
            top = entry
    return [entry for entry in entries[:-keep] if entry is top] + list(entries[-keep:])


def _metric(row: Mapping[str, Any], best: str | None) -> float | None:
    value = row.get(best) if best else None
    return float(value) if value is not None and isfinite(value) else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
