"""Checks of folders: space and the right to write."""

from collections.abc import Iterator

from toolkit.doctor.facts import Facts
from toolkit.doctor.finding import OK, PROBLEM, WARNING, Finding

_GB = 10**9
_LEAST = {"runs": 1 * _GB, "tmp": 2 * _GB, "cache": 1 * _GB}  # bytes; Ray works in /tmp
_FIX = {
    "runs": "toolkit clean --failed, or a --runs-dir on another disk",
    "tmp": "free some space, or let TMPDIR and RAY_TMPDIR name a folder on another disk",
    "cache": "let TOOLKIT_CACHE_DIR name a folder on another disk",
}


def disks(facts: Facts) -> Iterator[Finding]:
    """Space and rights of the folders that are written."""
    for use, disk in facts.disks.items():
        check = f"disk of {use}"
        shown = f"{disk.path}, {disk.free / _GB:.1f} GB free"
        if not disk.writable:
            fix = f"chown or chmod it, or {_FIX[use].removeprefix('toolkit clean --failed, or ')}"
            yield Finding(check, PROBLEM, f"{disk.path} cannot be written", fix)
        elif disk.free < _LEAST[use] // 10:
            yield Finding(check, PROBLEM, shown, _FIX[use])
        elif disk.free < _LEAST[use]:
            yield Finding(check, WARNING, shown, _FIX[use])
        else:
            yield Finding(check, OK, shown)
