"""Samples on disk: one flat binary file a column and a meta.json, read through memory maps.

    FOLDER/0.bin, 1.bin, ...   a column each: `count` samples of constant shape, little-endian
    FOLDER/meta.json           count, hash of all content; a column's file, shape, dtype, hash,
                               least and greatest value, and when its file was written

Round trip: what `toolkit.data.writer` was given, `Records` returns, in order. Where folders lie,
and when they are written anew, is `toolkit.data.cache`'s.
"""

import hashlib
import json
import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import DataError
from toolkit.recipe import Array

FORMAT = 1
META = "meta.json"


class Records(Mapping[str, Array]):
    """A folder of records as read-only arrays by column, mapped when first asked for.

    Pickles as its path alone.

    Raises:
        DataError: from any method: there are no records in the folder, or they are damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._maps: dict[str, Array] = {}
        self._meta: dict[str, Any] = {}

    def __reduce__(self) -> tuple[type["Records"], tuple[Path]]:
        return Records, (self.folder,)

    def __getitem__(self, column: str) -> Array:
        if column not in self._maps:
            self._maps[column] = self._map(column)
        return self._maps[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self.meta["columns"])

    def __len__(self) -> int:
        return len(self.meta["columns"])

    @property
    def meta(self) -> Mapping[str, Any]:
        """The content of meta.json."""
        if not self._meta:
            try:
                meta = json.loads((self.folder / META).read_bytes())
                if meta["format"] != FORMAT or meta["sha256"] != content_hash(meta):
                    raise ValueError
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise self._damaged(
                    "meta.json is missing, damaged or of another version"
                ) from error
            self._meta = meta
        return self._meta

    @property
    def count(self) -> int:
        """Number of samples."""
        return int(self.meta["count"])

    @property
    def sha256(self) -> str:
        """Hash of all columns' content, shapes and dtypes."""
        return str(self.meta["sha256"])

    def limits(self, column: str) -> tuple[float, float]:
        """The least and the greatest value of a column."""
        facts = self.meta["columns"][column]
        return facts["low"], facts["high"]

    def gather(self, column: str, ids: Any) -> Array:
        """Copy the samples at `ids`, a slice or an array [n], in that order."""
        array = self[column]
        if self._exceeds_memory:
            _prefetch(array, ids)
        if isinstance(ids, slice):
            return np.array(array[ids])
        return np.asarray(np.take(array, ids, axis=0))

    def verify(self) -> None:
        """Compare the files with meta.json: their sizes, and the content of any written since.

        Raises:
            DataError: they differ.
        """
        for name, facts in self.meta["columns"].items():
            self._map(name)
            path = self.folder / facts["file"]
            if path.stat().st_mtime_ns != facts["written"] and _file_hash(path) != facts["sha256"]:
                raise self._damaged(f"the content of column {name!r} changed")

    @property
    def _exceeds_memory(self) -> bool:
        """Whether most pages must be fetched from the disk."""
        total = sum(array.nbytes for array in self._maps.values())
        return total > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2

    def _map(self, column: str) -> Array:
        facts = self.meta["columns"][column]
        path, dtype = self.folder / facts["file"], np.dtype(facts["dtype"])
        shape = (self.count, *facts["shape"])
        expected = dtype.itemsize * int(np.prod(shape))
        try:
            size = path.stat().st_size
        except OSError as error:
            raise self._damaged(f"{path.name} cannot be read") from error
        if size != expected:
            raise self._damaged(f"{path.name} has {size} bytes instead of {expected}")
        return np.memmap(path, dtype, "r", shape=shape)

    def _damaged(self, problem: str) -> DataError:
        return DataError(
            f"the records in {self.folder} cannot be used: {problem}; delete the folder"
        )


def _prefetch(array: Array, ids: Any) -> None:
    """Ask for all pages at once: several times faster than a page fault after another."""
    mapped: Any = array
    size = array.nbytes // len(array)
    mapped._mmap.madvise(mmap.MADV_RANDOM)  # no read-ahead of samples that nobody asked for
    if isinstance(ids, slice):
        runs = [ids.indices(len(array))[:2]]
    else:
        runs = [(index, index + 1) for index in ids.tolist()]
    for start, stop in runs:
        low = start * size // mmap.PAGESIZE * mmap.PAGESIZE
        mapped._mmap.madvise(mmap.MADV_WILLNEED, low, stop * size - low)


def content_hash(meta: Mapping[str, Any]) -> str:
    """Hash of what meta.json says about all columns' content."""
    facts = [
        [name, column["dtype"], column["shape"], column["sha256"]]
        for name, column in sorted(meta["columns"].items())
    ]
    return hashlib.sha256(json.dumps([meta["count"], facts]).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
