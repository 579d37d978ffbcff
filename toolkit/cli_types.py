"""The command line's own types: names with the nearest, and what a shell completes for them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import click
from click.shell_completion import CompletionItem

from toolkit.errors import nearest
from toolkit.runs_folder import list_runs
from toolkit.source import built_in

_MOST_RUNS = 20  # that a shell is given, the latest


class Commands(click.Group):
    """Answers an unknown command with the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"there is no command {args[0]!r}; {nearest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


@runtime_checkable
class Placed(Protocol):
    """A type whose values may be paths, which in a settings file are relative to that file."""

    def is_path(self, value: str) -> bool:
        """Whether a value is one."""


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

    @staticmethod
    def shown(value: tuple[int, int] | None) -> str:
        """A value as it is written."""
        least, most = value or (0, 0)
        return "auto" if value is None else str(least) if least == most else f"{least}:{most}"


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


class Recipe(click.ParamType[Any]):
    """A recipe that ships with the package, or a .py file."""

    name = "recipe"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def is_path(self, value: str) -> bool:
        """Recipes of the package are names."""
        return value.endswith(".py")

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        names = [CompletionItem(name) for name in built_in() if name.startswith(incomplete)]
        return [*names, *_files(incomplete)]


class Location(click.ParamType[Any]):
    """A folder, or a URL."""

    name = "path|url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def is_path(self, value: str) -> bool:
        """URLs are taken as they are."""
        return "://" not in value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="dir")]


class RunName(click.ParamType[Any]):
    """A run by name or path."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [
            CompletionItem(path.name, help=status)
            for path, status in _runs(ctx)
            if path.name.startswith(incomplete)
        ]


class ModelFile(click.Path):
    """A model file; the shell is given the exported files of the latest runs, and any other.

    Args:
        also_runs: whether a run's name may be given, too.
        as_text: keep the value a text.
    """

    def __init__(self, *, also_runs: bool = False, as_text: bool = False) -> None:
        super().__init__(path_type=str if as_text else Path)
        self._also_runs = also_runs

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        found = []
        for path, status in _runs(ctx):
            if self._also_runs and path.name.startswith(incomplete):
                found.append(CompletionItem(path.name, help=status))
            files = sorted((path / "exports").glob("[!.]*"))
            found += [CompletionItem(str(f)) for f in files if str(f).startswith(incomplete)]
        return [*found, *_files(incomplete)]


def _files(incomplete: str) -> list[CompletionItem]:
    """Lets the shell complete files as it does elsewhere."""
    return [CompletionItem(incomplete, type="file")]


def _runs(ctx: click.Context) -> Iterator[tuple[Path, str]]:
    """Folder and status of the latest runs, the latest first."""
    root = ctx.params.get("runs_dir") or Path("runs")
    for run in reversed(list_runs(Path(root))[-_MOST_RUNS:]):
        yield run.path, str(run.facts["status"])
