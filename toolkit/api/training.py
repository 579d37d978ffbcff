"""Train, and find what was trained."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from toolkit import pipeline
from toolkit.api.given import (
    Framework,
    Place,
    Recipe,
    Training,
    job_of,
    name_of,
    pair,
    request_of,
    screen_of,
)
from toolkit.artifacts import Check
from toolkit.console import Screen
from toolkit.runs import Run
from toolkit.runs_folder import find_run, list_runs
from toolkit.train.prove import Proof
from toolkit.train.session import Options


def train(
    recipe: Recipe = "linear",
    *,
    workers: int | tuple[int, int] | None = None,
    framework: Framework | None = None,
    runs: Place = "runs",
    **how: Unpack[Training],
) -> Run:
    """Train a recipe on Ray workers.

    Args:
        recipe: its name, the path of its file, or its text.
        workers: of each framework, or least and most; without it as many as there is room for.
        framework: without it all that the recipe has a model for.
        runs: folder of all runs.
        **how: see `Training`.

    Raises:
        UsageError: recipe, data or resources do not fit; nothing was started or written.
        WorkerError: workers failed for good; the run directory keeps logs and checkpoints.
        StoppedError: Ctrl-C or SIGTERM; `resume` goes on.
    """
    found, options = job_of(recipe, workers, framework, how)
    return pipeline.train(found, options, Path(runs), screen_of(how))


def resume(
    run: Run | Place | None = None,
    *,
    workers: int | tuple[int, int] | None = None,
    address: str | None = None,
    quiet: bool = False,
    runs: Place = "runs",
) -> Run:
    """Go on with a training that was stopped, failed or killed; without `run`, the latest such.

    Raises:
        UsageError: the run is complete, is being trained, or its data or recipe changed.
    """
    found = run if isinstance(run, Run) else find_run(Path(runs), name_of(run), unfinished=True)
    options = Options((), workers=pair(workers), address=address)
    return pipeline.resume(found, options, Screen(quiet=quiet))


def prove(
    recipe: Recipe = "linear",
    *,
    workers: int = 2,
    steps: int = 20,
    framework: Framework | None = None,
    **how: Unpack[Training],
) -> list[Proof]:
    """Train a few steps with one and with several workers, and compare the weights.

    Raises:
        UsageError: recipe, data or resources do not fit.
        WorkerError: a worker failed.
    """
    found, options = job_of(recipe, workers, framework, how)
    with tempfile.TemporaryDirectory() as logs:
        return pipeline.prove(found, options, steps, Path(logs), screen_of(how))


def run_all(
    recipe: Recipe = "linear",
    *,
    workers: int | tuple[int, int] | None = None,
    framework: Framework | None = None,
    targets: Sequence[str] = (),
    precisions: Sequence[str] = ("fp32",),
    runs: Place = "runs",
    **how: Unpack[Training],
) -> tuple[Run, list[Check]]:
    """Train, export and verify in one go, in the workers that trained.

    Args:
        recipe: see `train`.
        workers: see `train`.
        framework: see `train`.
        targets: see `export`.
        precisions: see `export`; or 'best' for the smallest that passes, of each model and target,
            as the function `best` finds it.
        runs: folder of all runs.
        **how: see `Training`.

    Raises:
        ToolkitError: as `train`, `export` or `best`, and `verify` do.
    """
    found, options = job_of(recipe, workers, framework, how)
    best = "best" in precisions
    request = request_of(options.frameworks, targets, ("all",) if best else precisions, {})
    job = pipeline.Job(found, options, request, best=best)
    return pipeline.run_all(job, Path(runs), screen_of(how))


def runs(root: Place = "runs") -> list[Run]:
    """All usable runs below a folder, the latest last."""
    return list_runs(Path(root))


def find(run: Run | Place | None = None, *, runs: Place = "runs") -> Run:
    """The run of that name or path; without one, the latest that was trained.

    Raises:
        NotFoundError: there is none.
    """
    return run if isinstance(run, Run) else find_run(Path(runs), name_of(run))
