"""By how much this process's memory grew at its peak.

Not `ru_maxrss`: a process inherits it from the one that started it, so that a small model measured
by a large parent would seem to need nothing.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


@dataclass
class Growth:
    """`bytes` is set when the block that it watches ends; None where the system does not tell."""

    bytes: int | None = None


@contextlib.contextmanager
def watch() -> Iterator[Growth]:
    """Watch a block: peak resident memory in it, less what was resident before."""
    growth = Growth()
    with contextlib.suppress(OSError):  # where the peak cannot be reset, an earlier one may remain
        _RESET.write_text("5")
    before = _read("VmRSS")
    yield growth
    peak = _read("VmHWM")
    if before is not None and peak is not None:
        growth.bytes = max(0, peak - before)


def _read(field: str) -> int | None:
    """A field of the process's status, in bytes."""
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    return None
