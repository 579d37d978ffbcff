"""What the functions of `toolkit.api` are given, and the values that the pipeline takes instead."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal, TypedDict

from toolkit.artifacts import to_npz
from toolkit.assembly import to_train
from toolkit.console import Screen
from toolkit.export.request import Request
from toolkit.recipe import Array
from toolkit.source import RecipeSource
from toolkit.train.session import Options

Place = str | PathLike[str]
Recipe = Place | RecipeSource
"""A recipe's name, the path of its file, or its text as `RecipeSource(text, origin)`."""

Framework = Literal["tf", "torch", "both"]
Samples = Place | Mapping[str, Array]
"""An .npz file, or arrays [n, ...] by input name; 'targets' are the right answers."""


class Training(TypedDict, total=False):
    """How to train, beside the recipe; `toolkit train --help` has the defaults.

    Attributes:
        epochs: instead of the recipe's.
        seed: instead of the recipe's.
        deterministic: forbid operations that differ between runs.
        address: 'HOST:PORT' of a Ray cluster, or 'auto' for one that runs.
        max_failures: of each framework after which it goes on from a checkpoint.
        checkpoint_every: 'auto', 'epoch', 'never' or a number of steps.
        checkpoint_dir: a folder or URL instead of the run directory.
        keep: how many checkpoints are kept.
        ledger: count how often each sample is trained.
        quiet: show no progress.
    """

    epochs: int
    seed: int
    deterministic: bool
    address: str
    max_failures: int
    checkpoint_every: str | int
    checkpoint_dir: str
    keep: int
    ledger: bool
    quiet: bool


class Form(TypedDict, total=False):
    """What exported files look like.

    Attributes:
        opset: ONNX operator set.
        batch: fixed batch size; without it any, where the converter can.
        layout: 'nchw' or 'nhwc' of image inputs; without it the model's own.
        io: 'float', or 'int8' for integers in and out of static int8 files.
    """

    opset: int
    batch: int
    layout: str
    io: str


class Given(TypedDict, total=False):
    """What is known about a model from elsewhere.

    Attributes:
        name: of the exported files.
        weights: of a torch function: a .safetensors or .pt file.
        samples: an .npz file, or arrays by input name and, if known, 'targets'.
        signature: without samples: 'image:float32[n,28,28,1]'.
        labels: text file with a class name a line.
        decision: 'argmax', 'sign' or 'value'.
        preprocessing: JSON file of steps; the samples are raw then.
        postprocessing: JSON file of the first output's steps.
    """

    name: str
    weights: Place
    samples: Samples
    signature: str
    labels: Place
    decision: str
    preprocessing: Place
    postprocessing: Place


def job_of(
    recipe: Recipe,
    workers: int | tuple[int, int] | None,
    framework: Framework | None,
    how: Training,
) -> tuple[RecipeSource, Options]:
    """The recipe with its overrides, and how to train it."""
    given = {name: value for name, value in how.items() if name != "quiet"}
    return to_train(recipe, framework, given | {"workers": pair(workers)})


def request_of(
    frameworks: Sequence[str], targets: Sequence[str], precisions: Sequence[str], form: Form
) -> Request:
    """Which files to make."""
    request = Request.of(targets, precisions, **form)
    return request if targets else request.fitting(frameworks)


def pair(workers: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Least and most workers, or None for as many as there is room for."""
    return (workers, workers) if isinstance(workers, int) else workers


def screen_of(how: Training) -> Screen:
    """Where progress is shown."""
    return Screen(quiet=how.get("quiet", False))


def name_of(run: Place | None) -> str | None:
    """What `find_run` looks for."""
    return None if run is None else str(run)


def path_of(place: Place | None) -> Path | None:
    """A place as a path."""
    return None if place is None else Path(place)


@contextlib.contextmanager
def file_of(samples: Samples | None) -> Iterator[Path | None]:
    """Arrays as the file that a stage reads; a file as it is."""
    if not isinstance(samples, Mapping):
        yield path_of(samples)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.npz"
        path.write_bytes(to_npz(samples))
        yield path
