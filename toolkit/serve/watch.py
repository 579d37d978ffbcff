"""What lies on the disk: which models, which versions of each, which labels. Nothing is opened.

A source is a file, or a folder of versions:

    digits/
      labels.json        {"stable": 3, "canary": 4}; may be missing
      3/digits.edge      a folder named by its number with one .edge, .tflite or .onnx file
      4.edge             or a file named so
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.bundle_format import HEADER_BYTES, read_header
from edge.bundle_manifest import BundleManifest
from edge.errors import EdgeError
from edge.runtime import is_bundle
from toolkit.errors import NotFoundError, UsageError

SUFFIXES = (".edge", ".tflite", ".onnx")
LABELS = "labels.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_LABELS_BYTES = 1 << 16
_MOST_FILES = 1000  # of one version that are looked at

Print = tuple[tuple[str, int, int, int], ...]
"""Name, size, time of change and inode of every file of a version: other values, other content."""


@dataclass(frozen=True)
class Source:
    """A model to serve.

    Attributes:
        name: in URLs: letters, digits and ._+-
        path: a file, or a folder of versions.
    """

    name: str
    path: Path

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"model name {self.name!r:.120}: up to 100 letters, digits and ._+- are needed, a "
                f"letter or digit first; name it: NAME={self.path}"
            )

    @classmethod
    def parse(cls, text: str) -> "Source":
        """From '[NAME=]PATH'; the name is the bundle's own, else the file's or the folder's.

        Raises:
            UsageError: there is no such file, or the name is none.
        """
        name, equals, rest = text.partition("=")
        if not equals or not _NAME.fullmatch(name):
            name, rest = "", text
        path = Path(rest)
        if not rest or not path.exists():
            raise NotFoundError(f"{rest or text}: no such file or folder; check the path")
        return cls(name or _own_name(path), path)


def check_names(sources: Iterable[Source]) -> None:
    """Raise UsageError where two sources have one name."""
    seen: dict[str, Path] = {}
    for source in sources:
        if source.name in seen:
            raise UsageError(
                f"two models are called {source.name}: {seen[source.name]} and {source.path}; "
                f"name one: NAME={source.path}"
            )
        seen[source.name] = source.path
    if not seen:
        raise UsageError("no model is named; give a bundle, a model file or a folder of versions")


@dataclass(frozen=True)
class Found:
    """A version on the disk.

    Attributes:
        path: the file to open, or None.
        problem: why there is none, or ''.
        print: changes when any of its files does.
    """

    path: Path | None
    problem: str
    print: Print


def scan(path: Path) -> dict[int, Found]:
    """The versions by number; a file is version 1.

    Raises:
        OSError: the source cannot be looked at.
    """
    if not path.is_dir():
        return {1: Found(path, "", _print([path]))}
    found: dict[int, Found] = {}
    for child in sorted(path.iterdir()):
        number = child.name if child.is_dir() else child.name.removesuffix(_suffix(child))
        if not _NUMBER.fullmatch(number):
            continue
        version = int(number)
        try:
            here = _version(child)
        except OSError:  # on its way in or out: looked at again
            continue
        if version in found:
            both = found[version].print + here.print
            here = Found(None, f"version {version} is there twice; remove one", both)
        found[version] = here
    return found


def read_labels(path: Path) -> dict[str, int]:
    """Version by label; {} where there is no file.

    Raises:
        UsageError: it is no object of positive integers.
        OSError: it cannot be read.
    """
    file = path / LABELS
    if not file.is_file():
        return {}
    try:
        with file.open("rb") as opened:
            value: Any = json.loads(opened.read(_LABELS_BYTES))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: not JSON: {error}") from error
    if not isinstance(value, dict) or not all(
        type(number) is int and number > 0 and label for label, number in value.items()
    ):
        raise UsageError(f'{file}: expected versions by label, as in {{"stable": 3}}')
    return value


class Settled:
    """Tells what has stopped changing: a version that is still copied is not tried half-way."""

    def __init__(self) -> None:
        self._last: dict[int, Print] = {}

    def of(self, found: Mapping[int, Found]) -> dict[int, Found]:
        """Those that are as they were at the last call."""
        settled = {n: each for n, each in found.items() if self._last.get(n) == each.print}
        self._last = {number: each.print for number, each in found.items()}
        return settled


def _own_name(path: Path) -> str:
    if path.is_dir():
        return path.resolve().name
    try:
        if is_bundle(path):
            with path.open("rb") as file:
                header = read_header(file.read(HEADER_BYTES))
                return BundleManifest.from_bytes(file.read(header.manifest)).name
    except (EdgeError, OSError):  # told when it is opened
        return path.stem
    return path.stem


def _suffix(path: Path) -> str:
    return path.suffix if path.suffix in SUFFIXES else ""


def _version(child: Path) -> Found:
    if not child.is_dir():
        return Found(child, "", _print([child]))
    files = [Path(folder, name) for folder, _, names in os.walk(child) for name in names]
    seen = _print(sorted(files)[:_MOST_FILES])
    models = [file for file in files if file.parent == child and file.suffix in SUFFIXES]
    if len(models) == 1:
        return Found(models[0], "", seen)
    names = ", ".join(sorted(file.name for file in models)) or "none"
    return Found(None, f"one .edge, .tflite or .onnx file is needed, there is {names}", seen)


def _print(files: Iterable[Path]) -> Print:
    stats = [(file.name, file.stat()) for file in files]
    return tuple((name, s.st_size, s.st_mtime_ns, s.st_ino) for name, s in stats)
