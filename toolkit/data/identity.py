"""What decides which samples a stream gives: recipe, code beside it, and the files it reads."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from toolkit.errors import DataError
from toolkit.source import RecipeSource
from toolkit.specs import Stream


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
