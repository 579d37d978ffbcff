"""The command line's options: the groups that several commands share."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from toolkit.artifacts import DEFAULT_OPSET, PRECISIONS, TARGETS, Check
from toolkit.cli_asked import flag, remember, settle, verbosely
from toolkit.cli_types import Every, Location, OneOf, Recipe, RunName, Workers
from toolkit.errors import CheckError
from toolkit.export.request import FURTHER_TARGETS, Request
from toolkit.runs import Run


def applied(options: Sequence[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """A command with click's options, in the order in which --help shows them."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), function)


def printing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command."""
    options = [
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            callback=remember,
            help="Print the result as one JSON object.",
        ),
        flag("-q", "--quiet", help="Say nothing but results and errors."),
        flag("-v", "--verbose", help="Say where settings come from, and let others print."),
        flag("--debug", help="Show tracebacks."),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            is_eager=True,
            expose_value=False,
            envvar="TOOLKIT_CONFIG",
            callback=settle,
            help="Settings file. Default: toolkit.toml here or above.",
        ),
    ]
    return applied(options, verbosely(function))


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that works on runs."""
    runs_dir = click.option(
        "--runs-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("runs"),
        show_default=True,
        help="Folder of all runs.",
    )
    return printing(runs_dir(function))


def training(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of the commands that train."""
    options = [
        click.argument("recipe", default="linear", type=Recipe()),
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
            type=Location(),
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
    ]
    return applied(options, function)


def exporting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of the commands that export."""
    options = [
        click.option(
            "--target",
            "targets",
            multiple=True,
            type=OneOf(*TARGETS, *FURTHER_TARGETS, "all"),
            help="Repeatable. Default: tflite and onnx.",
        ),
        click.option(
            "--precision",
            "precisions",
            multiple=True,
            type=OneOf(*PRECISIONS, "best", "all"),
            help="Repeatable. Default: fp32. best: the smallest that passes verification.",
        ),
        click.option(
            "--opset", type=click.IntRange(13, 23), default=DEFAULT_OPSET, show_default=True
        ),
        click.option("--batch", type=click.IntRange(min=1), help="Fixed batch size. Default: any."),
        click.option(
            "--layout", type=OneOf("nchw", "nhwc"), help="Of image inputs. Default: the model's."
        ),
        click.option(
            "--io",
            type=OneOf("float", "int8"),
            default="float",
            show_default=True,
            help="What static int8 files take and give.",
        ),
    ]
    return applied(options, function)


def adopting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options about a model from elsewhere."""
    file = click.Path(path_type=Path, dir_okay=False)
    options = [
        click.option("--name", help="Of the exported files. Default: the file's."),
        click.option("--weights", type=file, help="Of a torch function: .safetensors or .pt."),
        click.option(
            "--samples",
            type=file,
            help=".npz with the model's inputs by name and, if known, 'targets'.",
        ),
        click.option(
            "--signature", help="Without samples: 'image:float32[n,28,28,1]; ids:int32[n,9]<500'."
        ),
        click.option("--labels", type=file, help="Text file with a class name a line."),
        click.option(
            "--decision",
            type=OneOf("argmax", "sign", "value"),
            help="How the first output is read. Default: argmax with labels, otherwise value.",
        ),
        click.option(
            "--preprocessing",
            type=file,
            help="JSON: steps, or steps by input; the samples are raw.",
        ),
        click.option(
            "--postprocessing", type=file, help="JSON: steps of the first output, on the device."
        ),
    ]
    return applied(options, function)


def gates(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say how good an exported file must be."""
    options = [
        click.option(
            "--max-drop",
            type=click.FloatRange(min=0),
            help="Greatest loss of the task's metric, such as 0.005. Default: by precision.",
        ),
        click.option(
            "--min-agreement",
            type=click.FloatRange(0, 1),
            help="Least share of unchanged decisions, such as 0.99. Default: by precision.",
        ),
    ]
    return applied(options, function)


def request_of(given: Mapping[str, Any]) -> Request:
    """What the `exporting` options ask for; 'best' stands for all rungs."""
    form = {name: given[name] for name in ("opset", "batch", "layout", "io")}
    precisions = ["all" if name == "best" else name for name in given["precisions"]]
    return Request.of(given["targets"], precisions, **form)


def require_passed(checks: Sequence[Check], run: Run) -> None:
    """End with exit code 1 where a check failed.

    Raises:
        CheckError: one did.
    """
    failed = sum(not check.passed for check in checks)
    if failed:
        raise CheckError(
            f"{failed} of {len(checks)} checks failed; details are in "
            f"{run.path / 'verification.json'}"
        )


run_option = click.option(
    "--run", "run_name", type=RunName(), metavar="RUN", help="Default: the latest."
)

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Show what would be done and written, and do nothing."
)
