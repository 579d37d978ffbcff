"""The commands about the command line itself: `config` and `completion`."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
from click.shell_completion import get_completion_class

from toolkit.cli_asked import screen_for
from toolkit.cli_options import printing
from toolkit.cli_settings import Setting, asked_of, commands, settable, settings_of
from toolkit.cli_types import OneOf
from toolkit.console import print_json
from toolkit.errors import NotFoundError, nearest

_SECRETS = ("TOOLKIT_TOKEN", "TOOLKIT_KEY_PASSPHRASE")
_OTHERS = ("TOOLKIT_CONFIG", "TOOLKIT_CACHE_DIR", "TOOLKIT_DATA_DIR", "TOOLKIT_NODE")
_SHELLS = {
    "bash": "toolkit completion bash > ~/.local/share/bash-completion/completions/toolkit",
    "zsh": 'toolkit completion zsh > "${fpath[1]}/_toolkit"',
    "fish": "toolkit completion fish > ~/.config/fish/completions/toolkit.fish",
}


@click.command(
    context_settings={"ignore_unknown_options": True}, short_help="Show options and their origin."
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND [OPTIONS]]")
@click.option("-a", "--all", "everything", is_flag=True, help="Without COMMAND: defaults, too.")
@printing
@click.pass_context
def config(ctx: click.Context, command: Sequence[str], everything: bool, as_json: bool) -> None:
    """Show the value of each option of COMMAND, and where it comes from.

    Without COMMAND: what the environment and toolkit.toml set. A command line counts before
    TOOLKIT_<COMMAND>_<OPTION>, then TOOLKIT_<OPTION>, the command's section in toolkit.toml,
    [defaults] there, and the built-in default.
    """
    root = ctx.find_root()
    if command:
        found = dict([_of_one(root, list(command))])
    else:
        found = {}
        for path, each in commands(root.command):
            made = _settings(root, path, each, [])
            found[" ".join(path)] = [s for s in made if everything or s.origin != "default"]
    file = next((str(entry.file) for entry in asked_of(ctx).entries or ()), None)
    secrets = [name for name in _SECRETS if os.environ.get(name)]
    unknown = _unknown(root.command)
    if as_json:
        shown = {name: [asdict(each) for each in rows] for name, rows in found.items() if rows}
        facts = {"file": file, "secrets": secrets, "unknown": list(unknown)}
        print_json(facts | {"commands": shown})
        return
    _show(file, found)
    for name in secrets:
        screen_for().say(f"{name} is set, and not shown")
    for name, close in unknown.items():
        screen_for().say(f"{name} sets nothing; {close}")


def _unknown(root: click.Command) -> dict[str, str]:
    """Variables that look like ours and are no option's, with the nearest."""
    known = {*_SECRETS, *_OTHERS}
    for _, command in commands(root):
        for param in settable(command).values():
            known |= set(param.envvar or ())
    found = sorted(name for name in os.environ if name.startswith("TOOLKIT_"))
    return {name: nearest(name, known) for name in found if name not in known}


def _show(file: str | None, found: dict[str, list[Setting]]) -> None:
    rows = [
        (name, each.option, _word(each.value), f"{each.origin} {each.place}".strip())
        for name, settings in found.items()
        for each in settings
    ]
    if rows:
        styles = {"default": "dim"}
        screen_for().table(("command", "option", "value", "origin"), rows, styles)
    read = f"settings file {file}" if file else "no settings in a toolkit.toml here or above"
    hint = "" if rows else "; all options are at their defaults: toolkit config --all"
    screen_for().say(read + hint)


def _of_one(root: click.Context, given: list[str]) -> tuple[str, list[Setting]]:
    """The command that a command line begins with, and its settings.

    Raises:
        NotFoundError: there is no such command.
    """
    known = dict(commands(root.command))
    for length in (2, 1):
        path = tuple(given[:length])
        if path in known:
            return " ".join(path), _settings(root, path, known[path], given[length:])
    names = [" ".join(path) for path in known]
    name = next((n for n in names if n.startswith(f"{given[0]} ")), None)
    hint = f"did you mean {name!r}?" if name else nearest(given[0], names)
    raise NotFoundError(f"there is no command {given[0]!r}; {hint}")


def _settings(
    root: click.Context, path: tuple[str, ...], command: click.Command, arguments: list[str]
) -> list[Setting]:
    parent = root
    for name in path[:-1]:
        group = parent.command
        assert isinstance(group, click.Group)
        parent = click.Context(group.commands[name], parent=parent, info_name=name)
    required = [p for p in command.params if isinstance(p, click.Argument) and p.required]
    for param in required:  # what is shown are options
        param.required = False
    try:
        return settings_of(command.make_context(path[-1], arguments, parent=parent))
    finally:
        for param in required:
            param.required = True


def _word(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@click.command(short_help="Print a script that lets the shell complete.")
@click.argument("shell", type=OneOf(*_SHELLS))
@printing
def completion(shell: str, as_json: bool) -> None:
    r"""Print a script that lets bash, zsh or fish complete commands, recipes, runs and files.

    \b
    bash  toolkit completion bash > ~/.local/share/bash-completion/completions/toolkit
    zsh   toolkit completion zsh > "${fpath[1]}/_toolkit"
    fish  toolkit completion fish > ~/.config/fish/completions/toolkit.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root().command
    made = kind(root, {}, "toolkit", "_TOOLKIT_COMPLETE")
    script = made.source_template % made.source_vars()  # `source` would start bash to ask its age
    if as_json:
        print_json({"shell": shell, "script": script, "install": _SHELLS[shell]})
        return
    click.echo(script)
