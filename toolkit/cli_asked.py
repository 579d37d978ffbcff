"""What every command line may ask for beside its result: --json, --quiet, --verbose, --config."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from toolkit import settings_file
from toolkit.cli_settings import asked_of, check, defaults_of, settings_of
from toolkit.console import Screen, print_json
from toolkit.errors import UsageError
from toolkit.planning.plan import Plan


def flag(*names: str, help: str) -> Any:  # noqa: A002 - as click calls it
    """A flag that every command has, and that is not handed to the command."""
    return click.option(*names, is_flag=True, expose_value=False, callback=remember, help=help)


def remember(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    """Keep a flag for `main`, `screen` and others that the command does not call."""
    name = "json" if param.name == "as_json" else str(param.name)
    asked_of(ctx).flags[name] = value
    return value


def settle(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    """Read the settings file before other options are looked at."""
    asked, root = asked_of(ctx), ctx.find_root()
    if asked.entries is None:
        file = value or settings_file.find(Path.cwd())
        entries = settings_file.read(file) if file is not None else []
        check(root.command, entries)
        asked.entries = entries
    path = ctx.command_path.split()[1:]
    ctx.default_map = defaults_of(ctx.command, path, asked.entries)


def verbosely(function: Callable[..., Any]) -> Callable[..., Any]:
    """The command, which says with --verbose what it was given and how long it took."""

    @functools.wraps(function)
    def told(*args: Any, **given: Any) -> Any:
        if not verbose():
            return function(*args, **given)
        shown, started = Screen(), time.perf_counter()
        for each in settings_of(click.get_current_context()):
            if each.origin in ("environment", "file"):
                shown.say(f"{each.option} {each.value}, from {each.place}")
        try:
            return function(*args, **given)
        finally:
            shown.say(f"took {time.perf_counter() - started:.1f} s")

    return told


def verbose() -> bool:
    """Whether --verbose was given.

    Raises:
        UsageError: --quiet was given as well, in the same way.
    """
    flags, ctx = asked_of().flags, click.get_current_context()
    if not (flags.get("verbose") and flags.get("quiet")):
        return flags.get("verbose", False)
    strength = list(click.core.ParameterSource)  # the strongest has the lowest number
    order = {name: ctx.get_parameter_source(name) for name in ("verbose", "quiet")}
    if order["verbose"] == order["quiet"]:
        raise UsageError("give either --quiet or --verbose, not both")
    by = {name: strength.index(source) for name, source in order.items() if source is not None}
    flags[max(by, key=lambda name: by[name])] = False
    return flags["verbose"]


def screen_for(as_json: bool = False) -> Screen:
    """Where a command prints: nothing but JSON with --json, no messages with --quiet."""
    return Screen(quiet=as_json, terse=asked_of().flags.get("quiet", False))


def show_plan(plan: Plan, as_json: bool) -> None:
    """Print what --dry-run found out."""
    if as_json:
        print_json(plan.to_json())
    screen_for(as_json).text(plan.lines())
