"""Where options get their values: command line, environment, `toolkit.toml`, built-in default.

An option is set by TOOLKIT_<COMMAND>_<OPTION> or TOOLKIT_<OPTION>, and by its long name in the
section of a command, or in [defaults] of all that have it. click's `default_map` does the rest.
Options that mean something else in other commands are set for one command alone.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from toolkit.cli_types import Workers
from toolkit.cli_values import converted, fits
from toolkit.errors import UsageError, nearest
from toolkit.settings_file import DEFAULTS, Entry, without_secrets

_FIXED = frozenset(("config", "yes", "help", "version"))  # neither in a file nor in the environment
_AMBIGUOUS = frozenset(("keep", "name", "output", "target"))  # not the same in all commands
_SECRET = re.compile(r"token|passphrase|password|secret")
_SOURCES = click.core.ParameterSource


@dataclass
class Asked:
    """What a command line asks for beside its result; one for all contexts of a process.

    Attributes:
        flags: json, debug, quiet and verbose, as given.
        entries: of the settings file; None until it was looked for.
    """

    flags: dict[str, bool] = field(default_factory=dict)
    entries: list[Entry] | None = None


@dataclass(frozen=True)
class Setting:
    """An option's value, and where it comes from.

    Attributes:
        option: as it is written, or the argument's name.
        value: plain, without secrets.
        origin: 'command line', 'environment', 'file' or 'default'.
        place: the variable, or file and line.
    """

    option: str
    value: Any
    origin: str
    place: str = ""


def asked_of(ctx: click.Context | None = None) -> Asked:
    """The one of the running command."""
    found = ctx or click.get_current_context(silent=True)
    return Asked() if found is None else found.find_root().ensure_object(Asked)


def commands(
    group: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands below a group, with their paths."""
    if not isinstance(group, click.Group):
        yield path, group
        return
    for name, command in group.commands.items():
        yield from commands(command, (*path, name))


def name_variables(root: click.Command) -> None:
    """Let every option be set by two environment variables, the command's own before all's.

    Options that mean something else in other commands have their own alone: what keeps checkpoints
    must not delete runs.
    """
    for path, command in commands(root):
        for key, param in settable(command).items():
            names = [_variable("_".join(("toolkit", *path, key)))]
            names += [] if key in _AMBIGUOUS else [_variable(f"toolkit_{key}")]
            param.envvar = names


def settable(command: click.Command) -> dict[str, click.Parameter]:
    """Options by long name, and arguments that have a default."""
    found: dict[str, click.Parameter] = {}
    for param in command.params:
        if param.name in _FIXED:
            continue
        if isinstance(param, click.Option):
            long = [name for name in param.opts if name.startswith("--")]
            found[long[0].removeprefix("--")] = param
        elif param.nargs == 1 and not param.required and isinstance(param.default, str):
            found[str(param.name)] = param
    return found


def check(root: click.Command, entries: Sequence[Entry]) -> None:
    """Refuse sections, keys and values that no command has.

    Raises:
        UsageError: names file, line and the nearest name.
    """
    known = {".".join(path): settable(command) for path, command in commands(root)}
    for entry in entries:
        if entry.section != DEFAULTS and entry.section not in known:
            close = nearest(entry.section, [DEFAULTS, *known])
            raise UsageError(f"{entry.place}: there is no command {entry.section!r}; {close}")
        if entry.key:
            _check(entry, known)


def _check(entry: Entry, known: Mapping[str, Mapping[str, click.Parameter]]) -> None:
    of_all = entry.section == DEFAULTS
    own = list(known.values()) if of_all else [known[entry.section]]
    params = [options[entry.key] for options in own if entry.key in options]
    if not params:
        where = "any command" if of_all else _words(entry.section)
        close = nearest(entry.key, {key for options in own for key in options})
        raise UsageError(f"{entry.place}: {entry.key!r} is no option of {where}; {close}")
    if of_all and entry.key in _AMBIGUOUS:
        having = " or ".join(f"[{name}]" for name, keys in known.items() if entry.key in keys)
        raise UsageError(
            f"{entry.place}: {entry.key} is not the same in all commands; write it below {having}"
        )
    if not any(fits(entry, param) for param in params):
        converted(entry, params[0])


def defaults_of(
    command: click.Command, path: Sequence[str], entries: Sequence[Entry]
) -> dict[str, Any]:
    """What a settings file says for a command, as click's `default_map`.

    Raises:
        UsageError: a value of [defaults] does not fit this command.
    """
    found = {}
    for key, entry in _entries(command, path, entries).items():
        param = settable(command)[key]
        try:
            found[str(param.name)] = converted(entry, param)
        except UsageError as error:
            raise UsageError(f"{error}; give {' '.join(path)} one in [{'.'.join(path)}]") from error
    return found


def settings_of(ctx: click.Context) -> list[Setting]:
    """All options of a command whose context was made, with values and origins."""
    asked, path = asked_of(ctx), ctx.command_path.split()[1:]
    entries = _entries(ctx.command, path, asked.entries or ())
    found = []
    for key, param in settable(ctx.command).items():
        name = str(param.name)
        value = ctx.params[name] if name in ctx.params else asked.flags.get(key, False)
        option = f"--{key}" if isinstance(param, click.Option) else name.upper()
        origin, place = _origin(ctx.get_parameter_source(name), param, entries.get(key))
        found.append(Setting(option, _shown(param, value), origin, place))
    return found


def _entries(
    command: click.Command, path: Sequence[str], entries: Sequence[Entry]
) -> dict[str, Entry]:
    """The file's values of a command, its own section before [defaults]."""
    keys = settable(command)
    found = {e.key: e for e in entries if e.section == DEFAULTS and e.key in keys}
    return found | {e.key: e for e in entries if e.section == ".".join(path) and e.key}


def _origin(
    source: click.core.ParameterSource | None, param: click.Parameter, entry: Entry | None
) -> tuple[str, str]:
    if source == _SOURCES.COMMANDLINE:
        return "command line", ""
    if source == _SOURCES.ENVIRONMENT:
        return "environment", variable_of(param)
    if source == _SOURCES.DEFAULT_MAP and entry is not None:
        return "file", entry.place
    return "default", ""


def variable_of(param: click.Parameter) -> str:
    """The environment variable that sets an option now, or ''."""
    names = [param.envvar] if isinstance(param.envvar, str) else param.envvar or ()
    return next((name for name in names if os.environ.get(name)), "")


def _words(section: str) -> str:
    return f"toolkit {section.replace('.', ' ')}"


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _shown(param: click.Parameter, value: Any) -> Any:
    """A value as JSON can hold it, and without secrets."""
    if _SECRET.search(str(param.name)) and not isinstance(param.type, click.Path):
        return "(hidden)" if value else None
    if isinstance(param.type, Workers):
        return Workers.shown(value)
    if isinstance(value, tuple | list):
        return [_shown(param, each) for each in value]
    if isinstance(value, Path):
        return str(value)
    return without_secrets(value) if isinstance(value, str) else value
