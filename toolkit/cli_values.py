"""Values of a settings file as options take them: types are checked, paths are placed."""

import os
from pathlib import Path
from typing import Any

import click

from toolkit.cli_types import Every, Placed, Workers
from toolkit.errors import UsageError
from toolkit.settings_file import Entry


def converted(entry: Entry, param: click.Parameter) -> Any:
    """A value of a settings file as the option takes it; paths are relative to the file.

    Raises:
        UsageError: it is of another type, or out of range.
    """
    value, kind = entry.value, param.type
    if getattr(param, "multiple", False):
        return [
            _scalar(entry, param, each) for each in (value if isinstance(value, list) else [value])
        ]
    if getattr(param, "is_flag", False) and isinstance(kind, click.types.BoolParamType):
        if not isinstance(value, bool):
            raise UsageError(
                f"{entry.place}: {entry.key} must be true or false, not {_named(value)}"
            )
        return value
    return _scalar(entry, param, value)


def fits(entry: Entry, param: click.Parameter) -> bool:
    """Whether an option takes a value."""
    try:
        converted(entry, param)
    except UsageError:
        return False
    return True


def _scalar(entry: Entry, param: click.Parameter, value: Any) -> Any:
    kind = param.type
    if isinstance(kind, click.types.IntParamType):
        fits, wanted = isinstance(value, int), "a whole number"
    elif isinstance(kind, click.types.FloatParamType):
        fits, wanted = isinstance(value, int | float), "a number"
    elif isinstance(kind, Workers | Every):
        fits, wanted = isinstance(value, int | str), "a number or a text"
    else:
        fits, wanted = isinstance(value, str), "a text in quotes"
    if not fits or isinstance(value, bool):
        raise UsageError(f"{entry.place}: {entry.key} must be {wanted}, not {_named(value)}")
    if isinstance(kind, click.Path) or (isinstance(kind, Placed) and kind.is_path(value)):
        value = _below(entry.file.parent, value)
    try:
        kind.convert(value, param, None)
    except click.BadParameter as error:
        raise UsageError(f"{entry.place}: {entry.key}: {error.message.rstrip('.')}") from error
    return value


def _below(folder: Path, value: str) -> str:
    path = Path(value).expanduser()
    if path.is_absolute() or folder == Path():
        return str(path)
    return os.path.relpath(folder / path)


def _named(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    kinds |= {list: "a list"}
    return kinds.get(type(value), type(value).__name__)
