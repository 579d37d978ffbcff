"""The commands that train: `train` and `run`."""

import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from toolkit import pipeline
from toolkit.assembly import OVERRIDES, to_train
from toolkit.cli_asked import screen_for, show_plan, verbose
from toolkit.cli_options import (
    common,
    dry_run_option,
    exporting,
    gates,
    request_of,
    require_passed,
    training,
)
from toolkit.cli_types import RunName
from toolkit.console import Screen, print_json
from toolkit.errors import CheckError, UsageError
from toolkit.planning.plan import Plan
from toolkit.planning.train import plan_proof, plan_resume, plan_run, plan_train
from toolkit.recipe import TITLES
from toolkit.runs import Run
from toolkit.runs_folder import find_run
from toolkit.source import RecipeSource
from toolkit.train.session import Options

_OPTIONS = [each.name for each in fields(Options) if each.name not in ("frameworks", "verbose")]


@click.command()
@training
@click.option(
    "--resume",
    type=RunName(),
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
@dry_run_option
@common
def train(
    runs_dir: Path,
    as_json: bool,
    resume: str | None,
    prove: bool,
    steps: int,
    dry_run: bool,
    **given: Any,
) -> None:
    """Train RECIPE (a name or a .py file) on Ray workers."""
    if prove and resume is not None:
        raise UsageError("--prove trains anew: give either --prove or --resume")
    screen = screen_for(as_json)
    if dry_run:
        show_plan(_plan(given, runs_dir, resume, steps if prove else None), as_json)
        return
    if prove:
        _prove(given, steps, screen, as_json)
        return
    if resume is None:
        run = pipeline.train(*_job(given), runs_dir, screen)
    else:
        options = _resuming(given)
        found = find_run(runs_dir, resume or None, unfinished=True)
        run = pipeline.resume(found, options, screen)
    screen.say(f"run {run.path}; next: toolkit export")
    if as_json:
        print_json(_run_json(run))


@click.command()
@training
@exporting
@gates
@dry_run_option
@common
def run(
    runs_dir: Path,
    as_json: bool,
    max_drop: float | None,
    min_agreement: float | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Train RECIPE, export it and verify every file, in one go."""
    screen = screen_for(as_json)
    limits, best = pipeline.Limits(min_agreement, max_drop), "best" in given["precisions"]
    job = pipeline.Job(*_job(given), request_of(given), limits, best)
    if dry_run:
        show_plan(plan_run(job, runs_dir), as_json)
        return
    done, checks = pipeline.run_all(job, runs_dir, screen)
    screen.checks(checks)
    screen.say(_where(done))
    if as_json:
        print_json(_run_json(done) | {"checks": [asdict(check) for check in checks]})
    require_passed(checks, done)


def _plan(given: dict[str, Any], runs_dir: Path, resume: str | None, steps: int | None) -> Plan:
    if resume is not None:
        options = _resuming(given)
        return plan_resume(find_run(runs_dir, resume or None, unfinished=True), options)
    if steps is not None:
        return plan_proof(*_job(given), steps, runs_dir)
    return plan_train(*_job(given), runs_dir)


def _job(given: dict[str, Any]) -> tuple[RecipeSource, Options]:
    how = {name: given[name] for name in (*OVERRIDES, *_OPTIONS)} | {"verbose": verbose()}
    how["deterministic"] = given["deterministic"] or None  # else the recipe decides
    return to_train(given["recipe"], given["framework"], how)


def _resuming(given: dict[str, Any]) -> Options:
    """Options of a run that goes on; those that would change what is trained are refused.

    Raises:
        UsageError: names the option.
    """
    context = click.get_current_context()
    free = {"workers", "address", "max_failures"}
    for name in given:
        source = context.get_parameter_source(name)
        if name not in free and source is click.core.ParameterSource.COMMANDLINE:
            word = "RECIPE" if name == "recipe" else f"--{name.replace('_', '-')}"
            raise UsageError(f"{word} cannot be given with --resume: the run's own is used")
    return Options((), verbose=verbose(), **{name: given[name] for name in _OPTIONS})


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


def _where(run: Run) -> str:
    lines = [
        f"run          {run.path}",
        f"files        {run.path / 'exports'}",
        f"curves       tensorboard --logdir {run.path / 'tensorboard'}",
    ]
    edge = [each.file for each in run.exports if each.file.endswith((".tflite", ".onnx"))]
    if edge:
        probe = run.source.load().probe
        value = getattr(probe, "input", None)
        value = value if isinstance(value, int | float) else "FILE"
        lines.append(f"on a device  python edge/infer.py {run.path / edge[0]} --input {value}")
    return "\n".join(lines)


def _run_json(run: Run) -> dict[str, Any]:
    return run.facts | {"run": str(run.path)}
