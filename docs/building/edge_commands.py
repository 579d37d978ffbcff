"""The reference of `python -m edge`, made of its options."""

from edge.cli import Command, Option
from edge.commands import COMMANDS

HEAD = """# Command line of a device

`python -m edge COMMAND` needs Python 3.9, numpy and one runtime. `python -m edge COMMAND --help`
prints the same.

Exit codes: 0 done; 1 a check failed; 2 bad usage, input, model file or bundle; 3 something broke,
or the runtime is missing.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *(_section(command) for command in COMMANDS.values())]) + "\n"


def _section(command: Command) -> str:
    words = [name for name, _, _ in command.arguments]
    words += [f"[{command.more[0]} ...]"] if command.more else []
    arguments = [(name, text) for name, _, text in command.arguments]
    arguments += [command.more] if command.more else []
    rows = [f"| `{name}` | {_cell(text)} |" for name, text in arguments]
    rows += [f"| `{_name(option)}` | {_cell(option.help)} |" for option in command.options]
    title = " ".join(["python -m edge", command.name, *words])
    lines = [f"## {command.name}", "", f"```\n{title}\n```", "", command.summary, ""]
    return "\n".join([*lines, "| option | what it does |", "|---|---|", *rows, ""])


def _name(option: Option) -> str:
    value = f"[{option.metavar}]" if option.const is not None else option.metavar
    return f"{option.name} {value}".rstrip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
