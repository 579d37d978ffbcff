"""The edge package as one file that Python runs: `python edge.pyz selftest NAME.edge`.

Like the standard library's zipapp, but the same sources give the same bytes: names in order, one
time for all of them, sources only. Compressed, by this Python's zlib: another release of zlib may
give other bytes with the same content.
"""

import io
import zipfile
from importlib import resources
from importlib.resources.abc import Traversable

from toolkit.errors import ToolkitError

MAX_BYTES = 100_000
"""A device's share of what is downloaded must stay small against numpy and a runtime."""

_SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = b"import sys\n\nfrom edge.__main__ import main\n\nsys.exit(main())\n"


def edge_zipapp() -> bytes:
    """The edge package that is installed here.

    Raises:
        ToolkitError: it is over the limit of 100,000 bytes.
    """
    sources = {"__main__.py": _MAIN}
    package = resources.files("edge")
    for entry in package.iterdir():
        sources |= _sources(entry, f"edge/{entry.name}")
    return pack(sources)


def pack(sources: dict[str, bytes]) -> bytes:
    """A zipapp of files by name; `__main__.py` is what Python runs.

    Raises:
        ToolkitError: it is over the limit of 100,000 bytes.
    """
    buffer = io.BytesIO(_SHEBANG)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(sources):
            info = zipfile.ZipInfo(name)  # its time is 1980-01-01
            info.create_system, info.external_attr = 3, 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, sources[name], compresslevel=9)
    content = buffer.getvalue()
    if len(content) > MAX_BYTES:
        raise ToolkitError(f"the edge zipapp has {len(content)} bytes, over {MAX_BYTES}")
    return content


def _sources(entry: Traversable, name: str) -> dict[str, bytes]:
    """The Python files below an entry, by their names in the zipapp."""
    if not entry.is_dir():
        return {name: entry.read_bytes()} if name.endswith(".py") else {}
    found: dict[str, bytes] = {}
    for child in entry.iterdir():
        found |= _sources(child, f"{name}/{child.name}")
    return found
