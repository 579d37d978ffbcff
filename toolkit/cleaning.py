"""Which runs, checkpoints and leftovers can go, and how they go.

`find` only looks; `delete` takes what it found. A run that is being trained is locked (see
`Run.locked`) and left alone, and so is all that is no run directory. A run is renamed to a hidden
name before its files go, so that a half-deleted one never looks like a run.
"""

import contextlib
import fcntl
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import StorageError
from toolkit.runs import FINISHED, Run
from toolkit.runs_folder import list_runs

_DAY = 86_400.0
_QUIET = 3_600.0  # seconds without a change after which an unlocked run is taken as killed
_LEFTOVER = re.compile(r"\..+\.(?:[0-9a-f]{8}(?:\.tmp)?|deleted)")
_BEGUN = ("training", "adopting")


@dataclass(frozen=True)
class Wanted:
    """What may go: a run that meets every condition that is given.

    Attributes:
        keep: the latest N runs stay, or None for no such condition.
        older_than: days since the run's last change, or None.
        failed: only runs that failed, or were killed.
        checkpoints: of finished runs only their checkpoints, and not the run.
    """

    keep: int | None = None
    older_than: float | None = None
    failed: bool = False
    checkpoints: bool = False

    @property
    def selects(self) -> bool:
        """Whether any run is asked for; otherwise only leftovers are."""
        return self != Wanted()


@dataclass(frozen=True)
class Item:
    """Something that can go.

    Attributes:
        path: a file or folder.
        kind: 'run', 'checkpoints' or 'leftover'.
        bytes: what it takes on the disk.
        reason: why it can go.
    """

    path: Path
    kind: str
    bytes: int
    reason: str


@dataclass(frozen=True)
class Found:
    """What can go, and runs that were asked for but stay.

    Attributes:
        items: what can go.
        training: names of runs that are being trained.
    """

    items: tuple[Item, ...]
    training: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Of all items."""
        return sum(item.bytes for item in self.items)


def find(root: Path, wanted: Wanted, now: float | None = None) -> Found:
    """Look for what can go under `root`; nothing is changed."""
    now = time.time() if now is None else now
    items, training = list[Item](), list[str]()
    runs = [r for r in list_runs(root) if not (r.name.startswith(".") or r.path.is_symlink())]
    for run in _selected(runs, wanted, now) if wanted.selects else ():
        if _is_locked(run):
            training.append(run.name)
        elif not wanted.checkpoints:
            items.append(Item(run.path, "run", size(run.path), _reason(run, now)))
        elif run.facts["status"] in FINISHED and (run.path / "checkpoints").is_dir():
            path = run.path / "checkpoints"
            items.append(Item(path, "checkpoints", size(path), _reason(run, now)))
    gone = [item.path for item in items]
    for path in _leftovers(root, runs, now):
        if not any(path.is_relative_to(folder) for folder in gone):
            items.append(Item(path, "leftover", size(path), "of an interrupted write"))
    return Found(tuple(items), tuple(training))


def delete(items: Sequence[Item]) -> Iterator[Item]:
    """Delete the items and yield each that is gone; a run that is trained by now stays.

    Raises:
        StorageError: one cannot be deleted; names it.
    """
    for item in items:
        try:
            if item.kind == "leftover":
                _remove(item.path)
            elif not _delete_of_run(item):
                continue
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(
                f"cannot delete {item.path}: {error.strerror or error}; look at its owner and "
                "rights, then run the command again"
            ) from error
        yield item


def size(path: Path) -> int:
    """Bytes that a file or folder takes; links count as nothing."""
    if path.is_symlink():
        return 0
    files = path.rglob("*") if path.is_dir() else [path]
    total = 0
    for file in files:
        with contextlib.suppress(OSError):  # gone meanwhile
            status = file.lstat()
            total += status.st_size if not file.is_dir() else 0
    return total


def _selected(runs: Sequence[Run], wanted: Wanted, now: float) -> list[Run]:
    """Runs that meet every condition; `runs` are oldest first."""
    kept = {run.name for run in runs[-wanted.keep :]} if wanted.keep else set()
    found = [run for run in runs if run.name not in kept]
    if wanted.older_than is not None:
        limit = now - wanted.older_than * _DAY
        found = [run for run in found if _changed(run) < limit]
    if wanted.failed:
        found = [run for run in found if _has_failed(run, now)]
    return found


def _has_failed(run: Run, now: float) -> bool:
    """Whether it failed, or was killed: not at its end, unlocked, and quiet for an hour."""
    status = run.facts["status"]
    return status == "failed" or (status in _BEGUN and now - _changed(run) > _QUIET)


def _changed(run: Run) -> float:
    """When something was last written in the run directory."""
    times = [run.path.stat().st_mtime]
    for file in run.path.rglob("*"):
        with contextlib.suppress(OSError):
            times.append(file.lstat().st_mtime)
    return max(times)


def _reason(run: Run, now: float) -> str:
    status = run.facts["status"]
    days = (now - _changed(run)) / _DAY
    age = f"{days:.0f} days ago" if days >= 2 else f"{days * 24:.0f} hours ago"
    if days * 24 < 2:
        age = "within two hours"
    known = "killed" if status in _BEGUN else status
    return f"{known}, last changed {age}"


def _leftovers(root: Path, runs: Sequence[Run], now: float) -> list[Path]:
    """Hidden temporary files and folders older than a day, of interrupted writes."""
    found = []
    folders = [root, *(path for run in runs if not _is_locked(run) for path in _folders(run.path))]
    for folder in folders:
        for path in sorted(folder.glob(".*")):
            with contextlib.suppress(OSError):
                old = now - path.lstat().st_mtime > _DAY
                if old and _LEFTOVER.fullmatch(path.name) and not path.is_symlink():
                    found.append(path)
    return found


def _folders(path: Path) -> Iterator[Path]:
    """A run directory and the folders in it, but for hidden ones."""
    yield path
    for folder in sorted(path.iterdir()):
        if folder.is_dir() and not folder.is_symlink() and not folder.name.startswith("."):
            yield from _folders(folder)


def _is_locked(run: Run) -> bool:
    with _lock(run.path) as held:
        return not held


@contextlib.contextmanager
def _lock(run: Path) -> Iterator[bool]:
    """Hold the lock of a run while the block runs, if nobody else does; no file is made."""
    try:
        file = (run / ".lock").open("rb")
    except FileNotFoundError:
        yield True  # never trained by this version, or adopted
        return
    except OSError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _delete_of_run(item: Item) -> bool:
    """Delete a run or its checkpoints, unless it is being trained."""
    run = item.path if item.kind == "run" else item.path.parent
    with _lock(run) as held:
        if not held or not (run / "run.json").is_file():
            return False
        hidden = item.path.with_name(f".{item.path.name}.deleted")
        item.path.rename(hidden)
        (hidden / "run.json").unlink(missing_ok=True)  # first: it is what makes it a run
        _remove(hidden)
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
