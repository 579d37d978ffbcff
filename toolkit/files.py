"""Writing files so that a reader sees the old content or the new, never a half."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolkit.errors import StorageError


def write_bytes(path: Path, content: bytes) -> None:
    """Write to a temporary name, fsync, and rename over `path`.

    Raises:
        StorageError: the directory is read-only, missing, or the disk is full; `path` is as before.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with storage_errors(path):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    """Make a rename outlive a power cut, on file systems that let directories be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON; NaN and infinity become null, which JSON can hold."""
    text = json.dumps(finite(value), indent=2, sort_keys=False, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


def make_directory(path: Path) -> None:
    """Create `path` and its parents; it may exist."""
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translate the operating system's errors about `path` into StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; "
            "free some space or choose another place with --runs-dir or --checkpoint-dir"
        ) from error


def finite(value: Any) -> Any:
    """Return `value` with None for each NaN and infinity, which JSON cannot hold."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
