"""The reference of the command line, made of its options as click has them."""

from collections.abc import Callable, Iterator

import click

from toolkit.cli import cli

HEAD = """# Command line

Made from the commands themselves; `toolkit COMMAND --help` prints the same. What `--json` prints
is told in [What --json prints](../json.md). Where a default comes from, and what may replace it:
`toolkit config COMMAND`.

Exit codes: 0 done, 1 a check failed, 2 bad usage or input, 3 something broke, 130 stopped by
Ctrl-C or SIGTERM.
"""


def page() -> str:
    """The whole page as Markdown."""
    found = dict(all_commands())
    alone = [command for command in found.values() if not isinstance(command, click.Group)]
    shared = set.intersection(*(set(_rows(command)) for command in alone))
    lines = [HEAD, "## Every command", "", *_table(alone[0], lambda row: row in shared)]
    for name, command in found.items():
        lines += _section(name, command, shared)
    return "\n".join(lines) + "\n"


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name, those of groups behind the group."""
    yield from _below("toolkit", cli)


def _below(prefix: str, group: click.Group) -> Iterator[tuple[str, click.Command]]:
    for name in sorted(group.commands):
        command = group.commands[name]
        if command.hidden:
            continue
        yield f"{prefix} {name}", command
        if isinstance(command, click.Group):
            yield from _below(f"{prefix} {name}", command)


def _section(name: str, command: click.Command, shared: set[str]) -> list[str]:
    context = click.Context(command, info_name=name)
    level = "##" if name.count(" ") == 1 else "###"
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = [f"{level} {name}", "", f"```\n{usage}\n```", "", _prose(command.help or ""), ""]
    return lines + _table(command, lambda row: row not in shared)


def _table(command: click.Command, wanted: Callable[[str], bool]) -> list[str]:
    rows = [row for row in _rows(command) if wanted(row)]
    head = ["| option | what it does | default |", "|---|---|---|"]
    return [*head, *rows, ""] if rows else []


def _rows(command: click.Command) -> dict[str, None]:
    """Its options in their order, as rows of a table."""
    context = click.Context(command)
    options = [each for each in command.params if isinstance(each, click.Option)]
    return dict.fromkeys(_row(each, context) for each in options if not each.hidden)


def _prose(text: str) -> str:
    paragraphs = text.replace("\b", "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _row(option: click.Option, context: click.Context) -> str:
    names = ", ".join((*option.opts, *option.secondary_opts))
    metavar = "" if option.is_flag else f" {_metavar(option, context)}"
    shown = option.default if option.show_default else None
    default = "" if shown is None or callable(shown) else f"`{shown}`"
    cells = (f"`{names}{metavar}`", _cell(option.help or ""), default)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _metavar(option: click.Option, context: click.Context) -> str:
    if option.metavar is None and "|" in option.type.name:
        return option.type.name  # choices as they are typed, not in capitals
    shown = option.make_metavar(context).removesuffix(" RANGE")
    return {"INTEGER": "N", "FLOAT": "X"}.get(shown, shown)


def _cell(text: str) -> str:
    """Text that Markdown shows as it is."""
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
