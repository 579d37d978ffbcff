"""The commands about model files: `export`, `verify`, `inspect` and `bench`."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from toolkit import pipeline
from toolkit.assembly import frameworks_of
from toolkit.bench import table
from toolkit.cli_asked import screen_for, show_plan
from toolkit.cli_options import (
    adopting,
    common,
    dry_run_option,
    exporting,
    gates,
    printing,
    request_of,
    require_passed,
    run_option,
)
from toolkit.cli_types import ModelFile, OneOf
from toolkit.console import Screen, print_json
from toolkit.errors import CheckError, UsageError
from toolkit.files import write_bytes
from toolkit.planning.files import plan_adoption, plan_bench, plan_export, plan_verify
from toolkit.runs_folder import find_run


@click.command()
@click.argument("model", required=False, type=ModelFile(as_text=True))
@adopting
@run_option
@exporting
@click.option("--framework", type=OneOf("tf", "torch", "both"), help="Default: all of the run.")
@gates
@dry_run_option
@common
def export(
    model: str | None,
    run_name: str | None,
    framework: str | None,
    runs_dir: Path,
    as_json: bool,
    dry_run: bool,
    **given: Any,
) -> None:
    """Export a run's models, or MODEL from elsewhere, to TFLite, ONNX and others.

    MODEL is a .keras, .h5, .pt2, .onnx or .tflite file, a SavedModel's folder, or module:function
    that returns a torch module (your own code, which runs with your rights). It becomes a run.
    """
    screen, request = screen_for(as_json), request_of(given)
    if model is not None and (run_name or framework):
        raise UsageError("give either MODEL or --run and --framework, not both")
    best = "best" in given["precisions"]
    if dry_run and model is not None:
        adoption, named = _adoption(model, given), bool(given["targets"])
        plan = plan_adoption(adoption, runs_dir, request, targets_given=named, best=best)
        show_plan(plan, as_json)
        return
    if model is None:
        found = find_run(runs_dir, run_name)
    else:
        found = pipeline.adopt(_adoption(model, given), runs_dir)
    chosen = frameworks_of(found, framework)
    if not given["targets"]:
        request = request.fitting(chosen)
    if dry_run:
        show_plan(plan_export(found, request, chosen, best=best), as_json)
        return
    if best:
        limits = pipeline.Limits(given["min_agreement"], given["max_drop"])
        rungs = pipeline.best(found, request, chosen, limits)
        screen.rungs(rungs)
        exports = [rung.export for rung in rungs if rung.export and not rung.reason]
    else:
        rungs, exports = [], pipeline.export(found, request, chosen)
        screen.exports(exports)
        screen.say(f"in {found.path / 'exports'}; next: toolkit verify")
    if as_json:
        told = {"run": str(found.path), "exports": [asdict(export) for export in exports]}
        print_json(told | ({"rungs": [asdict(rung) for rung in rungs]} if best else {}))


@click.command()
@click.argument("files", nargs=-1, type=ModelFile(as_text=True), metavar="[A B]")
@run_option
@gates
@click.option(
    "--samples",
    type=click.Path(path_type=Path, dir_okay=False),
    help="For A and B: .npz of inputs. Default: made up from the signature.",
)
@dry_run_option
@common
def verify(
    files: Sequence[str],
    run_name: str | None,
    runs_dir: Path,
    as_json: bool,
    dry_run: bool,
    **given: Any,
) -> None:
    """Prove that a run's files predict what was trained, or compare two model files A and B."""
    screen = screen_for(as_json)
    limits = pipeline.Limits(given["min_agreement"], given["max_drop"])
    if files and dry_run:
        raise UsageError("--dry-run shows the plan of a run's verification; leave A and B out")
    if files:
        _verify_pair(files, given["samples"], limits, screen, as_json)
        return
    found = find_run(runs_dir, run_name)
    if dry_run:
        show_plan(plan_verify(found), as_json)
        return
    checks = pipeline.verify(found, limits)
    screen.checks(checks)
    if as_json:
        print_json(
            {
                "run": str(found.path),
                "passed": all(check.passed for check in checks),
                "checks": [asdict(check) for check in checks],
            }
        )
    require_passed(checks, found)


@click.command()
@click.argument("file", type=ModelFile())
@click.option("--graph", is_flag=True, help="Draw the graph in Netron or Model Explorer.")
@printing
def inspect(file: Path, graph: bool, as_json: bool) -> None:
    """Show what is inside a .tflite or .onnx FILE: manifest, operators, work, memory."""
    if graph:
        pipeline.show_graph(file)
        return
    found = pipeline.inspect(file)
    if as_json:
        print_json(found.to_json())
        return
    screen_for().text(found.lines())


@click.command()
@click.argument("files", nargs=-1, type=ModelFile())
@run_option
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Samples a call."
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    help="Longest measurement of a file.",
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write the table there.")
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Draw accuracy, latency and size: .svg or .png."
)
@dry_run_option
@common
def bench(
    files: Sequence[Path],
    run_name: str | None,
    csv_file: Path | None,
    plot: Path | None,
    runs_dir: Path,
    as_json: bool,
    dry_run: bool,
    **given: Any,
) -> None:
    """Measure the exported files of a run, or any .tflite and .onnx FILES, on this machine."""
    screen = screen_for(as_json)
    if dry_run:
        if files:
            raise UsageError("--dry-run shows the plan of a run's benchmark; leave FILES out")
        show_plan(plan_bench(find_run(runs_dir, run_name), **given), as_json)
        return
    if files:
        rows = pipeline.bench_files(files, **given)
    else:
        rows = pipeline.bench(find_run(runs_dir, run_name), **given)
    screen.bench(rows)
    if csv_file is not None:
        write_bytes(csv_file, table.to_csv(rows).encode())
    if plot is not None:
        table.plot(rows, plot)
    if as_json:
        print_json({"files": table.to_json(rows)})
    failed = [row for row in rows if row.reason]
    if failed:
        raise CheckError(f"{failed[0].file}: {failed[0].reason}")


def _verify_pair(
    files: Sequence[str], samples: Path | None, limits: pipeline.Limits, screen: Screen, json: bool
) -> None:
    """Compare two model files, and print the outcome.

    Raises:
        CheckError: they answer differently.
    """
    if len(files) != 2:
        raise UsageError("give two model files to compare, or none to verify a run")
    result = pipeline.verify_pair((files[0], files[1]), samples, limits)
    if json:
        print_json(result.to_json())
    screen.text(result.lines())
    if not result.passed:
        raise CheckError("the two models differ: " + "; ".join(result.reasons))


def _adoption(model: str, given: dict[str, Any]) -> pipeline.Adoption:
    names = [field.name for field in fields(pipeline.Adoption) if field.name != "model"]
    return pipeline.Adoption(model, **{name: given[name] for name in names})
