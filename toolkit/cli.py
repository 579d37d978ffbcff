"""The command line: parse, call the pipeline, print. No logic, and no framework."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from edge.errors import EdgeError
from toolkit import (
    __version__,
    cli_bundle,
    cli_models,
    cli_project,
    cli_report,
    cli_serve,
    cli_train,
)
from toolkit.cli_options import common
from toolkit.console import Screen, print_json
from toolkit.errors import CheckError, StoppedError, ToolkitError, UsageError, nearest
from toolkit.runs import list_runs

INTERRUPTED = 130


class Commands(click.Group):
    """Answers an unknown command with the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"there is no command {args[0]!r}; {nearest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="toolkit")
def cli() -> None:
    """Train Keras and PyTorch models data-parallel on Ray, export them, prove every file.

    Exit codes: 0 done, 1 a check failed, 2 bad usage or input, 3 something broke.
    """


@cli.command()
@common
def runs(runs_dir: Path, as_json: bool) -> None:
    """List the runs, the latest last."""
    found = list_runs(runs_dir)
    if as_json:
        print_json({"runs": [run.facts | {"run": str(run.path)} for run in found]})
        return
    screen = Screen()
    if found:
        screen.runs(found)
    else:
        screen.say(f"no runs in {runs_dir}; train one: toolkit train")


for command in (
    cli_train.train,
    cli_train.run,
    cli_models.export,
    cli_models.verify,
    cli_models.inspect,
    cli_models.bench,
    cli_report.report,
    cli_bundle.bundle,
    cli_bundle.keys,
    cli_serve.serve,
    cli_project.init,
    cli_project.doctor,
    cli_project.clean,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: run a command and turn errors into messages and exit codes."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        cli.main(given, prog_name="toolkit", standalone_mode=False)
    except click.ClickException as error:
        _report(given, UsageError(error.format_message()), error)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("interrupted; nothing is left running\n")
        sys.exit(INTERRUPTED)
    except StoppedError as error:
        Screen().say(str(error))
        sys.exit(error.exit_code)
    except ToolkitError as error:
        _report(given, error, error)
    except EdgeError as error:
        _report(given, UsageError(str(error)), error)
    except Exception as error:  # noqa: BLE001 - the last resort; --debug shows all of it
        summary = f"unexpected {type(error).__name__}: {error}; --debug shows where"
        _report(given, ToolkitError(summary), error)


def _report(given: list[str], error: ToolkitError, cause: BaseException) -> None:
    if "--debug" in given:
        traceback.print_exception(cause)
    if "--json" in given and not isinstance(error, CheckError):
        print_json({"error": str(error), "detail": error.detail, "exit_code": error.exit_code})
    Screen().error(error)
    sys.exit(error.exit_code)
