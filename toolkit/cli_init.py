"""The command that writes a recipe for a user's own data: `init`."""

import re
import sys
from pathlib import Path
from typing import Any

import click

from toolkit.cli_asked import screen_for
from toolkit.cli_options import printing
from toolkit.cli_types import OneOf
from toolkit.console import print_json
from toolkit.errors import StorageError, UsageError
from toolkit.files import make_directory, write_bytes
from toolkit.recipe import FRAMEWORKS
from toolkit.starter.draft import Draft
from toolkit.starter.wish import KINDS, TASKS, Wish, kind_of

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--data", type=_PATH, help="A .csv or .npz file, or a folder with a folder a class.")
@click.option("--kind", type=OneOf(*KINDS), help="Of the data. Default: what they look like.")
@click.option("--target", metavar="NAME", help="Column or array that is to be predicted.")
@click.option("--text", metavar="COLUMN", help="Of a table with texts. Default: the longest.")
@click.option("--task", type=OneOf(*TASKS), help="Default: what the target looks like.")
@click.option("--name", help="Of the recipe. Default: the data's.")
@click.option("-o", "--output", type=_PATH, help="File to write. Default: NAME.py.")
@click.option(
    "--framework",
    type=OneOf("tf", "torch", "both"),
    default="both",
    show_default=True,
    help="Which models to write.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@printing
def init(as_json: bool, force: bool, **given: Any) -> None:
    """Write a recipe for your own data, which trains as it stands.

    Asks for what is not given, where it runs on a terminal.
    """
    from toolkit.starter.survey import draft

    wish = _wish(given, ask=sys.stdin.isatty() and not as_json)
    if wish.output.exists() and not force:
        raise UsageError(f"{wish.output} is there already; give --force, or another --output")
    made = draft(wish)
    _write(wish.output, made.text)
    if as_json:
        print_json(
            {
                "recipe": str(wish.output),
                "name": wish.name,
                "kind": made.kind,
                "task": made.task,
                "found": dict(made.facts),
                "notes": list(made.notes),
            }
        )
        return
    _say(wish, made)


def _write(path: Path, text: str) -> None:
    try:
        make_directory(path.parent)
        write_bytes(path, text.encode())
    except StorageError as error:
        raise StorageError(
            f"cannot write {path}: {error.__cause__}; give another --output"
        ) from error


def _say(wish: Wish, made: Draft) -> None:
    screen = screen_for()
    for name, value in made.facts.items():
        if value:
            screen.say(f"{name:<10} {_shown(value)}")
    for note in made.notes:
        screen.say(f"note: {note}")
    screen.say(f"wrote {wish.output}, {made.task}; next: toolkit run {wish.output}")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        value = [f"{key} {count:,}" for key, count in value.items()]
    if not isinstance(value, list):
        return f"{value:,}" if isinstance(value, int) else str(value)
    more = f", and {len(value) - 12} more" if len(value) > 12 else ""
    return ", ".join(map(str, value[:12])) + more


def _wish(given: dict[str, Any], *, ask: bool) -> Wish:
    """What the flags say, and what a person answers.

    Raises:
        UsageError: a flag is missing and nobody can be asked.
    """
    data: Path | None = given["data"]
    if data is None:
        if not ask:
            raise UsageError("--data is missing: give --data FILE or FOLDER")
        data = Path(click.prompt("Data: a .csv or .npz file, or a folder", err=True)).expanduser()
    kind = given["kind"] or kind_of(data)
    target = given["target"]
    if target is None and ask and kind in ("csv", "text") and data.is_file():
        target = _ask_target(data)
    name = given["name"]
    if name is None:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", data.resolve().stem).strip("-_")[:64] or "mine"
        name = click.prompt("Name of the recipe", default=name, err=True) if ask else name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise UsageError(f"--name {name!r}: must be 1-64 letters, digits, '-' or '_'")
    output = given["output"] or Path(f"{name}.py")
    if output.suffix != ".py":
        raise UsageError(f"--output {output}: a recipe is a .py file")
    return Wish(
        data=data,
        kind=given["kind"],
        target=target,
        text=given["text"],
        task=given["task"],
        name=name,
        output=output,
        frameworks=FRAMEWORKS if given["framework"] == "both" else (given["framework"],),
    )


def _ask_target(data: Path) -> str:
    from toolkit.starter.table import read

    names = read(data).names
    click.echo(f"columns: {', '.join(names)}", err=True)
    return str(click.prompt("Column to predict", default=names[-1], err=True))
