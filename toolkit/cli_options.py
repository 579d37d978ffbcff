"""The command line's options: their types, and the groups that several commands share."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from toolkit.artifacts import Check
from toolkit.errors import CheckError, nearest
from toolkit.export.job import DEFAULT_OPSET, PRECISIONS, TARGETS
from toolkit.export.request import FURTHER_TARGETS, Request
from toolkit.runs import Run


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


def printing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command."""
    options = [
        click.option(
            "--json", "as_json", is_flag=True, help="Print the result as one JSON object."
        ),
        click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks."),
    ]
    return _apply(options, function)


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that works on runs."""
    runs_dir = click.option(
        "--runs-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("runs"),
        show_default=True,
        envvar="TOOLKIT_RUNS_DIR",
        help="Folder of all runs.",
    )
    return printing(runs_dir(function))


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
    return _apply(options, function)


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
    return _apply(options, function)


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
    return _apply(options, function)


def request_of(given: Mapping[str, Any]) -> Request:
    """What the `exporting` options ask for; 'best' stands for all rungs."""
    targets, precisions = given["targets"], given["precisions"]
    if "all" in precisions or "best" in precisions:
        precisions = PRECISIONS
    return Request(
        targets=TARGETS if not targets or "all" in targets else tuple(dict.fromkeys(targets)),
        precisions=tuple(dict.fromkeys(precisions)) or ("fp32",),
        opset=given["opset"],
        batch=given["batch"],
        layout=given["layout"] or "",
        io=given["io"],
    )


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


run_option = click.option("--run", "run_name", metavar="RUN", help="Default: the latest.")
