"""The pages of the documentation, wherever they lie, and the commands in them."""

import re
import shlex
from pathlib import Path

import yaml

from docs.building import links

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    {ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / p for p in links.PAGES)}
)
_FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^((?:    .*\n)+)", re.MULTILINE)
_COMMAND = re.compile(
    r"^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:ray job submit .* -- )?(toolkit [a-z][^\n]*)", re.MULTILINE
)


def name_of(page: Path) -> str:
    """From the root, with slashes."""
    return page.relative_to(ROOT).as_posix()


def commands(text: str) -> list[list[str]]:
    """The words of every `toolkit` command that stands in a block of its own."""
    found = []
    blocks = [body for kind, body in _FENCED.findall(text) if kind in ("", "sh", "bash")]
    for block in blocks + _INDENTED.findall(_FENCED.sub("", text)):
        lines = re.sub(r"\\\n\s*", "", block)
        for line in _COMMAND.findall(lines):
            words = shlex.split(line, comments=True)
            ends = [at for at, word in enumerate(words) if word in ("&&", "||", "|", ">", ";")]
            found.append(words[: min(ends, default=len(words))])
    return found


def navigation() -> set[str]:
    """Pages that mkdocs.yml names."""
    return set(_named(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))


def _named(entry) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    entries = entry.values() if isinstance(entry, dict) else entry
    return [name for each in entries for name in _named(each)]
