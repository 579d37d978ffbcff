"""Hashes of samples, and of what decides which samples a stream gives.

That is the recipe, the code beside it, and the files that it reads.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import DataError
from toolkit.recipe import Array
from toolkit.source import RecipeSource
from toolkit.specs import Stream


def hash_of(arrays: Sequence[Array]) -> str:
    """A hash of content, dtypes and shapes; of texts their UTF-8, however they are kept."""
    digest = hashlib.sha256()
    for array in arrays:
        if array.dtype == object:
            digest.update(f"texts{array.shape}".encode())
            for text in array.tolist():
                content = text.encode()
                digest.update(len(content).to_bytes(8, "little") + content)
        else:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def columns(stream: Stream) -> list[str]:
    """The columns that a stream needs, each once."""
    inputs = [stream.inputs] if isinstance(stream.inputs, str) else list(stream.inputs.values())
    weight = [] if stream.weight is None else [stream.weight]
    return list(dict.fromkeys([*inputs, stream.target, *weight]))


def key(source: RecipeSource, stream: Stream, split: str, modules: list[Any]) -> str | None:
    """A hash of all that decides what a stream reads, or None where its files are not known."""
    files = stream.files
    paths = [files] if isinstance(files, str | Path) else list(files)
    if not paths:
        return None
    code = {each.__file__: Path(each.__file__).read_text() for each in modules}
    folder = Path(source.origin).parent
    found = [_listed(folder, str(path)) for path in paths]
    facts = [split, columns(stream), source.text, code, found]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _listed(folder: Path, path: str) -> list[tuple[str, int, int]]:
    """Path, size and time of change of each file below `path`: a path or a URL."""
    from pyarrow import ArrowException, fs

    try:
        place = path if "://" in path else str((folder / path).absolute())
        system, place = fs.FileSystem.from_uri(place)
        [info] = system.get_file_info([place])
        if info.type == fs.FileType.NotFound:
            raise FileNotFoundError(place)
        infos = [info]
        if info.type == fs.FileType.Directory:
            infos = system.get_file_info(fs.FileSelector(place, recursive=True))
    except (OSError, ArrowException) as error:
        raise DataError(f"'files' names {path!r}, which cannot be read: {error}") from error
    return sorted((each.path, each.size or 0, each.mtime_ns or 0) for each in infos if each.is_file)


def neighbours(folder: Path) -> list[Any]:
    """The recipe's module and those that it imported from its folder."""
    modules = [each for each in sys.modules.values() if getattr(each, "__file__", None)]
    found = [each for each in modules if Path(str(each.__file__)).parent == folder]
    return sorted(found, key=lambda each: str(each.__file__))
