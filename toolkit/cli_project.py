"""The commands around projects: `init`, `doctor` and `clean`."""

import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from toolkit import cleaning
from toolkit.cleaning import Found, Item
from toolkit.cli_asked import screen_for
from toolkit.cli_options import common, printing
from toolkit.cli_types import OneOf
from toolkit.console import print_json
from toolkit.errors import CheckError, StorageError, UsageError
from toolkit.files import make_directory, write_bytes
from toolkit.recipe import FRAMEWORKS
from toolkit.starter.code import counted
from toolkit.starter.draft import Draft
from toolkit.starter.wish import KINDS, TASKS, Wish, kind_of

_STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}
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


@click.command()
@click.option("--deep", is_flag=True, help="Import each framework, in processes of their own.")
@click.option("-a", "--all", "everything", is_flag=True, help="Show what is fine, too.")
@common
def doctor(runs_dir: Path, as_json: bool, deep: bool, everything: bool) -> None:
    """Check this machine: packages, CPUs, GPUs, memory, disks, ports; say how to fix what is wrong.

    Exit code 1 where there is a problem; warnings do not count.
    """
    from toolkit.doctor.examine import examine
    from toolkit.doctor.finding import OK, PROBLEM, WARNING
    from toolkit.doctor.gather import gather

    found = list(examine(gather(runs_dir), imports=deep))
    counts = {status: sum(each.status == status for each in found) for status in _STYLES}
    if as_json:
        rows = [asdict(each) for each in found]
        print_json({"passed": not counts[PROBLEM], "counts": counts, "checks": rows})
    screen = screen_for(as_json)
    shown = [each for each in found if everything or each.status != OK]
    if shown:
        screen.table(
            ("check", "status", "found", "what to do"),
            [(each.check, each.status, each.detail, each.fix) for each in shown],
            _STYLES,
        )
    hint = "" if everything else "; --all shows them"
    screen.say(
        f"{counts[OK]} fine, {counted(counts[WARNING], WARNING)}, "
        f"{counted(counts[PROBLEM], PROBLEM)}{hint}"
    )
    if counts[PROBLEM]:
        raise CheckError(
            f"{counted(counts[PROBLEM], PROBLEM)} of this machine; see the last column"
        )


@click.command()
@click.option("--keep", type=click.IntRange(min=0), metavar="N", help="All but the N latest runs.")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Runs in which nothing was written for so long.",
)
@click.option("--failed", is_flag=True, help="Runs that failed or were killed.")
@click.option("--checkpoints", is_flag=True, help="Only the checkpoints of finished runs.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@common
def clean(runs_dir: Path, as_json: bool, yes: bool, **given: Any) -> None:
    """Show what old runs take, and delete it with --yes or when asked on a terminal.

    A run goes that meets all conditions given; without any, only leftovers of interrupted writes
    go. A run that is being trained stays.
    """
    found = cleaning.find(runs_dir, cleaning.Wanted(**given))
    screen = screen_for(as_json)
    if found.items:
        rows = [(str(i.path), i.kind, sized(i.bytes), i.reason) for i in found.items]
        screen.table(("path", "kind", "size", "why"), rows)
    for name in found.training:
        screen.say(f"{name} is being trained and stays")
    wanted = yes
    if found.items and not yes and not as_json and sys.stdin.isatty():
        wanted = click.confirm(f"delete {sized(found.bytes)}?", err=True)
    deleted = list(cleaning.delete(found.items)) if wanted else []
    if as_json:
        print_json(_clean_json(found, deleted))
    screen.say(_clean_summary(found, deleted, wanted, selects=cleaning.Wanted(**given).selects))


def sized(count: int) -> str:
    """'1.5 MB'."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def _clean_json(found: Found, deleted: Sequence[Item]) -> dict[str, Any]:
    gone = {item.path for item in deleted}
    return {
        "bytes": found.bytes,
        "freed": sum(item.bytes for item in deleted),
        "training": list(found.training),
        "items": [
            {
                "path": str(item.path),
                "kind": item.kind,
                "bytes": item.bytes,
                "reason": item.reason,
                "deleted": item.path in gone,
            }
            for item in found.items
        ],
    }


def _clean_summary(found: Found, deleted: Sequence[Item], wanted: bool, *, selects: bool) -> str:
    if not found.items:
        hint = "" if selects else "; say which runs may go: --keep, --older-than, --failed"
        return f"nothing to free{hint}"
    if not wanted:
        return f"{sized(found.bytes)} can be freed; nothing is deleted yet: add --yes"
    kept = len(found.items) - len(deleted)
    rest = f"; {kept} left, in use or gone by now" if kept else ""
    return f"freed {sized(sum(item.bytes for item in deleted))}{rest}"
