"""Where records lie: folders named after the hash of their content, below one cache folder.

    CACHE/records/SHA256/   finished records
    CACHE/index/KEY.json    which records a stream with known files became
    CACHE/writing/          unfinished ones; what a killed process left is deleted by the next

A folder appears whole or not at all, and any number of processes may read and write at once. The
cache is $TOOLKIT_CACHE_DIR, otherwise `toolkit` in the user's cache folder: /tmp often lies in
memory, of which records are meant to need none, and does not outlive a restart.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from toolkit.data.records import Records
from toolkit.data.writer import storage_error
from toolkit.errors import DataError
from toolkit.files import write_json


def default_root() -> Path:
    """The cache folder of this user on this machine."""
    if given := os.environ.get("TOOLKIT_CACHE_DIR"):
        return Path(given).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "toolkit"


def find(root: Path, key: str) -> Path | None:
    """The whole records that `key` stands for, or None."""
    try:
        content = json.loads(_index(root, key).read_bytes())
        folder = root / "records" / str(content["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder if is_whole(folder) else None


def remember(root: Path, key: str, folder: Path) -> None:
    """Let `find` give `folder` for `key`."""
    write_json(_index(root, key), {"sha256": folder.name})


def is_whole(folder: Path) -> bool:
    """Whether a folder holds undamaged records."""
    try:
        Records(folder).verify()
    except DataError:
        return False
    return True


def store(root: Path, write: Callable[[Path], str]) -> Path:
    """Make records and return their folder.

    Args:
        root: the cache folder.
        write: fills the empty folder that it is given; returns the hash of the content.

    Raises:
        StorageError: the disk is full, or the cache cannot be written.
    """
    with _temporary(root) as folder:
        sha256 = write(folder)
        target = root / "records" / sha256
        with locked(root, "publish"):
            if not is_whole(target):
                shutil.rmtree(target, ignore_errors=True)
                folder.rename(target)
    return target


@contextlib.contextmanager
def locked(root: Path, name: str) -> Iterator[None]:
    """Hold a lock among all processes of this machine."""
    with _opened(root / f"{name}.lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _temporary(root: Path) -> Iterator[Path]:
    """An empty folder that is deleted afterwards, or by whoever comes next after a crash."""
    try:
        for name in ("records", "index", "writing"):
            (root / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(root, error) from error
    folder = root / "writing" / secrets.token_hex(8)
    with contextlib.ExitStack() as stack:
        with locked(root, "writing"):
            _sweep(root / "writing")
            lock = stack.enter_context(_opened(_lock_of(folder)))
            fcntl.flock(lock, fcntl.LOCK_EX)
            folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink(missing_ok=True)


def _sweep(writing: Path) -> None:
    """Delete folders whose writers are gone: nobody holds their locks."""
    for lock in writing.glob("*.lock"):
        with _opened(lock) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise storage_error(path.parent, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _index(root: Path, key: str) -> Path:
    return root / "index" / f"{key}.json"
