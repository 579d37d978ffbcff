"""`toolkit.toml`: where it is found, and what stands in which line.

What its keys mean is decided by `toolkit.cli_settings`.

[defaults]            # of every command that has such an option
runs-dir = "runs"

[train]               # of one command; [keys.new] for a command of a group
workers = 2
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import NotFoundError, UsageError

FILE_NAME = "toolkit.toml"
DEFAULTS = "defaults"

_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(#.*)?$")
_KEY = re.compile(r"\s*([^=\s]+)\s*=")


@dataclass(frozen=True)
class Entry:
    """One value of a settings file.

    Attributes:
        file: that holds it.
        section: 'defaults', or a command as 'train' or 'keys.new'.
        key: an option's long name without dashes before it; '' of an empty section.
        value: as TOML has it.
        line: in the file, from 1 on; 0 where it could not be told.
    """

    file: Path
    section: str
    key: str
    value: Any
    line: int

    @property
    def place(self) -> str:
        """Where it stands: 'toolkit.toml:3', or the section where the line is not known."""
        return f"{self.file}:{self.line}" if self.line else f"{self.file} [{self.section}]"


def find(folder: Path) -> Path | None:
    """The nearest settings file in `folder` or above; as a short path where it is in `folder`.

    Raises:
        UsageError: it lies above and is another user's, who could name a recipe, which is code.
    """
    for place in (folder, *folder.parents):
        file = place / FILE_NAME
        if not file.is_file():
            continue
        if place == folder:
            return Path(FILE_NAME)
        if file.stat().st_uid not in (os.getuid(), 0):
            raise UsageError(
                f"{file} is another user's; to use it give --config {file}, otherwise --config "
                f"{os.devnull}"
            )
        return file
    return None


def read(path: Path) -> list[Entry]:
    """All values of a settings file, in order.

    Raises:
        NotFoundError: it cannot be read.
        UsageError: it is no TOML, or has values outside of sections.
    """
    import tomllib  # not needed for --help

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise NotFoundError(
            f"the settings file {path} cannot be read: {why}; check --config and TOOLKIT_CONFIG"
        ) from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}; texts stand in quotes") from error
    lines = _lines(text)
    return [
        Entry(path, section, key, value, lines.get((section, key), 0))
        for section, key, value in _values(path, content)
    ]


def without_secrets(text: str) -> str:
    """A text whose URLs say nothing of users, keys and queries."""
    if "://" not in text:
        return text
    return re.sub(r"\?[^/]*", "?(hidden)", re.sub(r"://[^/@]*@", "://(hidden)@", text))


def _values(
    path: Path, content: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, str, Any]]:
    for key, value in content.items():
        if value == {}:
            yield (f"{above}.{key}" if above else key), "", None
        elif isinstance(value, dict):
            yield from _values(path, value, f"{above}.{key}" if above else key)
        elif not above:
            raise UsageError(
                f"{path}: {key!r} stands outside of a section; write [{DEFAULTS}] or a command as "
                "[train] above it"
            )
        else:
            yield above, key, value


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Line by section and key, of files that are written a value a line."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = ".".join(part.strip().strip("\"'") for part in header[1].split("."))
        elif key := _KEY.match(line):
            found.setdefault((section, key[1].strip("\"'")), number)
    return found
