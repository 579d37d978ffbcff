"""Writes the records that `toolkit.data.records` reads, batch by batch, hashing on the way."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from toolkit.data.records import FORMAT, META, content_hash
from toolkit.errors import DataError, StorageError
from toolkit.recipe import Array

_BLOCK = 4 * 2**20


class RecordWriter:
    """Writes a folder of records, batch by batch.

    Args:
        folder: an existing, empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self._columns: dict[str, _ColumnWriter] = {}

    def append(self, batch: Mapping[str, Array]) -> None:
        """Add arrays of numbers by column, each [n, ...] with the same n.

        Raises:
            DataError: columns, or a column's shape or kind of number, differ from those before.
            StorageError: the disk is full.
        """
        if not self._columns:
            self._columns = {
                name: _ColumnWriter(name, self.folder / f"{index}.bin", array)
                for index, (name, array) in enumerate(sorted(batch.items()))
            }
        if set(batch) != set(self._columns):
            raise DataError(
                f"sample {self.count} has the columns {sorted(batch)}, the ones before it "
                f"{sorted(self._columns)}"
            )
        sizes = {name: len(array) for name, array in batch.items()}
        if len(set(sizes.values())) != 1:
            raise DataError(f"columns differ in length after sample {self.count}: {sizes}")
        try:
            for name, column in self._columns.items():
                column.append(batch[name], self.count)
        except OSError as error:
            raise storage_error(self.folder, error) from error
        self.count += next(iter(sizes.values()))

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample, once one was appended."""
        return sum(column.sample_bytes for column in self._columns.values())

    def close(self) -> str:
        """Write meta.json after all else is on the disk; return the hash of the content."""
        try:
            columns = {name: column.close() for name, column in self._columns.items()}
            meta = {"format": FORMAT, "count": self.count, "columns": columns}
            meta["sha256"] = content_hash(meta)
            with (self.folder / META).open("w") as file:
                json.dump(meta, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise storage_error(self.folder, error) from error
        return str(meta["sha256"])

    def abandon(self) -> None:
        """Close the files of a folder that will not be finished."""
        for column in self._columns.values():
            column.file.close()


class _ColumnWriter:
    def __init__(self, name: str, path: Path, first: Array) -> None:
        self.name, self.path = name, path
        self.dtype, self.shape = first.dtype.newbyteorder("<"), first.shape[1:]
        self.sample_bytes = self.dtype.itemsize * int(np.prod(self.shape))
        if self.sample_bytes == 0:
            raise DataError(f"column {name!r}: a sample of shape {self.shape} holds nothing")
        self.file: BinaryIO = path.open("wb", buffering=_BLOCK)
        self._hash = hashlib.sha256()
        self._low, self._high = first[:1].min(), first[:1].max()

    def append(self, array: Array, count: int) -> None:
        if array.shape[1:] != self.shape:
            raise DataError(
                f"column {self.name!r}: sample {count} has shape {array.shape[1:]}, the ones "
                f"before it {self.shape}; resize or pad them to one shape"
            )
        exact = np.ascontiguousarray(array, self.dtype)
        if exact.dtype != array.dtype and not (exact == array).all():
            raise DataError(
                f"column {self.name!r}: from sample {count} on it holds {array.dtype}, before it "
                f"{self.dtype}; convert it to one type"
            )
        self._low, self._high = min(self._low, exact.min()), max(self._high, exact.max())
        self._hash.update(exact.data)
        self.file.write(exact.data)

    def close(self) -> dict[str, Any]:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        return {
            "file": self.path.name,
            "dtype": self.dtype.str,
            "shape": list(self.shape),
            "sha256": self._hash.hexdigest(),
            "low": self._low.item(),
            "high": self._high.item(),
            "written": self.path.stat().st_mtime_ns,
        }


def storage_error(folder: Path, error: OSError, needed: int | None = None) -> StorageError:
    """What to raise where records cannot be written; `needed` bytes, if that is known."""
    size = f", which needs {needed:,} bytes" if needed else ""
    return StorageError(
        f"cannot write the records in {folder}{size}: {error.strerror or error}; free some space "
        "or let TOOLKIT_CACHE_DIR name a folder on a larger disk"
    )
