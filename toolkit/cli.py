"""The command line: parse, call the pipeline, print. No logic, and no framework."""

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from edge.errors import EdgeError
from toolkit import (
    __version__,
    cli_bundle,
    cli_config,
    cli_data,
    cli_init,
    cli_models,
    cli_project,
    cli_report,
    cli_serve,
    cli_train,
)
from toolkit.cli_asked import screen_for
from toolkit.cli_options import common
from toolkit.cli_settings import Asked, name_variables, variable_of
from toolkit.cli_types import Commands
from toolkit.console import Screen, print_json
from toolkit.errors import CheckError, StoppedError, ToolkitError, UsageError
from toolkit.runs_folder import list_runs

INTERRUPTED = 130


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="toolkit")
def cli() -> None:
    """Train Keras and PyTorch models data-parallel on Ray, export them, prove every file.

    Exit codes: 0 done, 1 a check failed, 2 bad usage or input, 3 something broke. Options can be
    set in toolkit.toml and by TOOLKIT_<OPTION>, too; toolkit config shows which are.
    """


@cli.command()
@common
def runs(runs_dir: Path, as_json: bool) -> None:
    """List the runs, the latest last."""
    found = list_runs(runs_dir)
    if as_json:
        print_json({"runs": [run.facts | {"run": str(run.path)} for run in found]})
        return
    if found:
        screen_for().runs(found)
    else:
        screen_for().say(f"no runs in {runs_dir}; train one: toolkit train")


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
    cli_init.init,
    cli_project.doctor,
    cli_project.clean,
    cli_data.data,
    cli_config.config,
    cli_config.completion,
):
    cli.add_command(command)
name_variables(cli)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: run a command and turn errors into messages and exit codes."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    asked = Asked({"json": "--json" in given, "debug": "--debug" in given})
    try:
        cli.main(given, prog_name="toolkit", standalone_mode=False, obj=asked)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(UsageError.exit_code)
    except click.ClickException as error:
        _report(asked, UsageError(_told(error, given)), error)
    except BrokenPipeError:  # whoever reads had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(INTERRUPTED)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("interrupted; nothing is left running\n")
        sys.exit(INTERRUPTED)
    except StoppedError as error:
        Screen().say(str(error))
        sys.exit(error.exit_code)
    except ToolkitError as error:
        _report(asked, error, error)
    except EdgeError as error:
        _report(asked, UsageError(str(error)), error)
    except Exception as error:  # noqa: BLE001 - the last resort; --debug shows all of it
        summary = f"unexpected {type(error).__name__}: {error}; --debug shows where"
        _report(asked, ToolkitError(summary), error)


def _told(error: click.ClickException, given: Sequence[str]) -> str:
    """Click's message, where a wrong value comes from, and where to look the right one up."""
    message = error.format_message().rstrip()
    if not isinstance(error, click.UsageError):
        return message
    if error.ctx is None:
        words = "toolkit" if given[:1] and given[0].startswith("-") else f"toolkit {given[0]}"
        return f"{message.rstrip('.')}; see {words} --help"
    param = error.param if isinstance(error, click.BadParameter) else None
    if param is not None and param.name:
        source = error.ctx.get_parameter_source(param.name)
        if source == click.core.ParameterSource.ENVIRONMENT:
            message = f"{message.rstrip('.')} (from {variable_of(param)})"
    if "id you mean" in message:
        return message
    return f"{message.rstrip('.')}; see {error.ctx.command_path} --help"


def _report(asked: Asked, error: ToolkitError, cause: BaseException) -> None:
    if asked.flags.get("debug"):
        traceback.print_exception(cause)
    if asked.flags.get("json") and not isinstance(error, CheckError):
        print_json({"error": str(error), "detail": error.detail, "exit_code": error.exit_code})
    Screen().error(error)
    sys.exit(error.exit_code)
