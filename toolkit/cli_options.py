"""The command line's options: their types, and the groups that several commands share."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from toolkit.errors import nearest
from toolkit.export.job import TARGETS


class OneOf(click.ParamType[Any]):
    """One of a few names; an unknown one is answered with the nearest."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.name = "|".join(names)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self.names:
            self.fail(f"{value!r} is not known; {nearest(str(value), self.names)}", param, ctx)
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        names = (name for name in self.names if name.startswith(incomplete))
        return [CompletionItem(name) for name in names]


class Workers(click.ParamType[Any]):
    """Least and most workers, or 'auto' for None."""

    name = "N|MIN:MAX|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int] | None:
        if value in ("auto", None) or isinstance(value, tuple):
            return value if isinstance(value, tuple) else None
        least, colon, most = str(value).partition(":")
        parts = [least, most] if colon else [least, least]
        if not all(part.isdecimal() and int(part) > 0 for part in parts):
            self.fail(f"{value!r} is neither N, nor MIN:MAX, nor 'auto', from 1 on", param, ctx)
        if int(parts[0]) > int(parts[1]):
            self.fail(f"{value!r}: the first number must not be above the second", param, ctx)
        return int(parts[0]), int(parts[1])


class Every(click.ParamType[Any]):
    """When to write checkpoints: a word, or a number of steps."""

    name = "auto|epoch|never|STEPS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int:
        if value in ("auto", "epoch", "never"):
            return str(value)
        if not str(value).isdecimal() or int(value) < 1:
            words = "'auto', 'epoch' or 'never'"
            self.fail(f"{value!r} is neither a number of steps from 1 on nor {words}", param, ctx)
        return int(value)


def _apply(options: list[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), function)


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command."""
    options = [
        click.option(
            "--json", "as_json", is_flag=True, help="Print the result as one JSON object."
        ),
        click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks."),
        click.option(
            "--runs-dir",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("runs"),
            show_default=True,
            envvar="TOOLKIT_RUNS_DIR",
            help="Folder of all runs.",
        ),
    ]
    return _apply(options, function)


def training(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of the commands that train."""
    options = [
        click.argument("recipe", default="linear"),
        click.option(
            "--framework",
            type=OneOf("tf", "torch", "both"),
            help="Default: all that the recipe has a builder for.",
        ),
        click.option(
            "--workers",
            type=Workers(),
            default="auto",
            show_default=True,
            help="Ray workers of each framework; MIN:MAX goes on with what is there.",
        ),
        click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's."),
        click.option("--seed", type=click.IntRange(min=0), help="Instead of the recipe's."),
        click.option(
            "--deterministic", is_flag=True, help="Forbid operations that differ between runs."
        ),
        click.option("--address", help="HOST:PORT of a Ray cluster, or 'auto' for one that runs."),
        click.option(
            "--max-failures",
            type=click.IntRange(min=0),
            default=3,
            show_default=True,
            help="Failures of each framework after which it goes on from a checkpoint.",
        ),
        click.option(
            "--checkpoint-every",
            type=Every(),
            default="auto",
            show_default=True,
            help="auto: each epoch while that is cheap, and each minute.",
        ),
        click.option(
            "--checkpoint-dir",
            metavar="PATH|URL",
            help="Default: in the run. Or a shared folder, s3://bucket/prefix, gs://...",
        ),
        click.option(
            "--keep",
            type=click.IntRange(min=1),
            default=3,
            show_default=True,
            help="Checkpoints to keep, besides the best where the recipe has 'keep_best'.",
        ),
        click.option("--ledger", is_flag=True, help="Count how often each sample is trained."),
        click.option("-v", "--verbose", is_flag=True, help="Let Ray and the workers print."),
    ]
    return _apply(options, function)


targets_option = click.option(
    "--target",
    "targets",
    multiple=True,
    type=OneOf(*TARGETS, "all"),
    help="Repeatable. Default: all.",
)
run_option = click.option("--run", "run_name", metavar="RUN", help="Default: the latest.")
