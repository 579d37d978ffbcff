"""The commands around a project: `doctor` and `clean`."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from toolkit import cleaning
from toolkit.cleaning import Found, Item
from toolkit.cli_asked import screen_for
from toolkit.cli_options import common
from toolkit.console import print_json
from toolkit.errors import CheckError
from toolkit.starter.code import counted

_STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}


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
