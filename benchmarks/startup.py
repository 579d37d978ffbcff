"""Seconds from the command to the first optimizer step, against Ray Train.

Ours is `toolkit train`, TensorFlow and PyTorch side by side on two workers each; the last rank of
the slower framework counts. PyTorch alone is measured too. The peer is `peers/ray_train.py`:
TorchTrainer, one framework, two workers. The model is the same, its epochs are one step long, and
nothing is validated before the time is taken. Both sides start a Ray of their own.
"""

import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import (
    PYTHON,
    ROOT,
    TOOLKIT,
    Options,
    Result,
    Target,
    in_turns,
    main,
    run,
    runs_dir,
    say,
)

TARGET = Target(0.4, at_least=False)
RECIPE = str(ROOT / "benchmarks" / "recipes" / "first_step.py")
WORKERS = 2


def measure(options: Options) -> list[Result]:
    """Wall time to the first step; below 1, ours is faster."""
    say("startup: toolkit train of both frameworks and of PyTorch alone, Ray Train of PyTorch")
    measures = [partial(toolkit, ("tf", "torch")), partial(toolkit, ("torch",)), ray_train]
    both, alone, peer = in_turns(measures, options.pairs)
    name = "/ Ray Train with PyTorch"
    return [
        Result(f"start to first step, both {name}", "s", both, peer, TARGET),
        Result(f"start to first step, PyTorch {name}", "s", alone, peer),
    ]


def toolkit(frameworks: tuple[str, ...]) -> float:
    """Of `toolkit train`."""
    with runs_dir() as folder:
        command = [TOOLKIT, "train", RECIPE, "--workers", str(WORKERS), "--runs-dir", folder]
        if len(frameworks) == 1:
            command += ["--framework", *frameworks]
        return first_step([*command, "--json"], frameworks)


def ray_train() -> float:
    """Of Ray Train."""
    return first_step([PYTHON, "-m", "benchmarks.peers.ray_train"], ("torch",))


def first_step(command: list[str], frameworks: Sequence[str]) -> float:
    """Run `command` to its end; return the seconds until the last rank had done a step.

    Raises:
        RuntimeError: not all ranks did.
    """
    with tempfile.TemporaryDirectory() as folder:
        begun = time.time()
        run(command, {"FIRST_STEP_FOLDER": folder})
        files = list(Path(folder).iterdir())
        ranks = sorted(path.name.partition("-")[0] for path in files)
        if ranks != sorted([*frameworks] * WORKERS):
            raise RuntimeError(f"{WORKERS} ranks of {frameworks} should have trained, not {ranks}")
        return max(float(path.read_text()) for path in files) - begun


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
