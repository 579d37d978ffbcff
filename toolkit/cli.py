"""The command line: parse, call the pipeline, print. No logic, and no framework."""

import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from toolkit import __version__, pipeline, source
from toolkit.artifacts import Run, find_run, list_runs
from toolkit.cli_options import OneOf, common, run_option, targets_option, training
from toolkit.console import Screen, print_json
from toolkit.errors import CheckError, StoppedError, ToolkitError, UsageError, nearest
from toolkit.export.job import DEFAULT_OPSET, TARGETS
from toolkit.recipe import TITLES
from toolkit.train.session import Options

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
@training
@click.option(
    "--resume",
    is_flag=False,
    flag_value="",
    metavar="[RUN]",
    help="Go on with a stopped, failed or killed run; default: the latest such.",
)
@click.option(
    "--prove",
    is_flag=True,
    help="Train a few steps on one and on several workers, and compare the weights.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Steps that --prove trains.",
)
@common
def train(
    runs_dir: Path, as_json: bool, resume: str | None, prove: bool, steps: int, **given: Any
) -> None:
    """Train RECIPE (a name or a .py file) on Ray workers."""
    screen = Screen(quiet=as_json)
    if prove:
        _prove(given, steps, screen, as_json)
        return
    if resume is None:
        run = pipeline.train(*_job(given), runs_dir, screen)
    else:
        found = find_run(runs_dir, resume or None, unfinished=True)
        run = pipeline.resume(found, _resuming(given), screen)
    screen.say(f"run {run.path}; next: toolkit export")
    if as_json:
        print_json(_run_json(run))


@cli.command()
@training
@targets_option
@common
def run(targets: Sequence[str], runs_dir: Path, as_json: bool, **given: Any) -> None:
    """Train RECIPE, export it and verify every file, in one go."""
    screen = Screen(quiet=as_json)
    done, checks = pipeline.run_all(*_job(given), _targets(targets), runs_dir, screen)
    screen.checks(checks)
    screen.say(_where(done))
    if as_json:
        print_json(_run_json(done) | {"checks": [asdict(check) for check in checks]})
    _require_passed(checks, done)


@cli.command()
@run_option
@targets_option
@click.option("--framework", type=OneOf("tf", "torch", "both"), help="Default: all of the run.")
@click.option("--opset", type=click.IntRange(13, 23), default=DEFAULT_OPSET, show_default=True)
@common
def export(
    run_name: str | None,
    targets: Sequence[str],
    framework: str | None,
    opset: int,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Export a run's models to TFLite and ONNX files."""
    screen = Screen(quiet=as_json)
    found = find_run(runs_dir, run_name)
    chosen = ("tf", "torch") if framework == "both" else (framework,) if framework else None
    exports = pipeline.export(found, _targets(targets), chosen or found.frameworks, opset)
    screen.exports(exports)
    screen.say(f"in {found.path / 'exports'}; next: toolkit verify")
    if as_json:
        print_json({"run": str(found.path), "exports": [asdict(export) for export in exports]})


@cli.command()
@run_option
@common
def verify(run_name: str | None, runs_dir: Path, as_json: bool) -> None:
    """Prove that every exported file of a run predicts what was trained."""
    screen = Screen(quiet=as_json)
    found = find_run(runs_dir, run_name)
    checks = pipeline.verify(found)
    screen.checks(checks)
    if as_json:
        print_json(
            {
                "run": str(found.path),
                "passed": all(check.passed for check in checks),
                "checks": [asdict(check) for check in checks],
            }
        )
    _require_passed(checks, found)


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


def _job(given: dict[str, Any]) -> tuple[source.RecipeSource, Options]:
    """The recipe with its overrides, and how to train it."""
    overrides = {name: given[name] for name in ("epochs", "seed") if given[name] is not None}
    if given["deterministic"]:
        overrides["deterministic"] = True
    found = source.find(given["recipe"], overrides)
    frameworks = source.select_frameworks(found.load(), given["framework"] or "auto")
    return found, _options(given, frameworks)


def _options(given: dict[str, Any], frameworks: tuple[str, ...] = ()) -> Options:
    own = {field.name for field in fields(Options)} - {"frameworks"}
    return Options(frameworks, **{name: given[name] for name in own})


def _resuming(given: dict[str, Any]) -> Options:
    """Options of a run that goes on; those that would change what is trained are refused.

    Raises:
        UsageError: names the option.
    """
    context = click.get_current_context()
    free = {"workers", "address", "max_failures", "verbose", "runs_dir", "as_json", "resume"}
    for name in given:
        source = context.get_parameter_source(name)
        if name not in free and source is click.core.ParameterSource.COMMANDLINE:
            word = "RECIPE" if name == "recipe" else f"--{name.replace('_', '-')}"
            raise UsageError(f"{word} cannot be given with --resume: the run's own is used")
    return _options(given)


def _prove(given: dict[str, Any], steps: int, screen: Screen, as_json: bool) -> None:
    """Compare one worker with several, and print the outcome.

    Raises:
        CheckError: the weights differ.
    """
    found, options = _job(given)
    with tempfile.TemporaryDirectory() as logs:
        proofs = pipeline.prove(found, options, steps, Path(logs), screen)
    screen.proofs(proofs)
    if as_json:
        rows = [asdict(proof) | {"passed": proof.passed} for proof in proofs]
        print_json({"passed": all(proof.passed for proof in proofs), "proofs": rows})
    failed = [TITLES[proof.framework] for proof in proofs if not proof.passed]
    if failed:
        raise CheckError(f"the number of workers changes what {' and '.join(failed)} trains")


def _targets(targets: Sequence[str]) -> tuple[str, ...]:
    return TARGETS if not targets or "all" in targets else tuple(dict.fromkeys(targets))


def _where(run: Run) -> str:
    example = run.exports[0].file
    probe = run.source.load().probe
    value = probe.input if probe is not None and isinstance(probe.input, int | float) else "FILE"
    return (
        f"run          {run.path}\n"
        f"files        {run.path / 'exports'}\n"
        f"curves       tensorboard --logdir {run.path / 'tensorboard'}\n"
        f"on a device  python edge/infer.py {run.path / example} --input {value}"
    )


def _run_json(run: Run) -> dict[str, Any]:
    return run.facts | {"run": str(run.path)}


def _require_passed(checks: Sequence[Any], run: Run) -> None:
    failed = sum(not check.passed for check in checks)
    if failed:
        raise CheckError(
            f"{failed} of {len(checks)} checks failed; details are in "
            f"{run.path / 'verification.json'}"
        )
