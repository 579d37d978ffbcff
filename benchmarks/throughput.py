"""Optimizer steps a second in steady state, against what a user would run in each framework.

Ours is `toolkit train`; its figure leaves out the first chunk of steps, which compiles, and
validation. The peers' leave out a warm-up epoch, and they do not validate: `peers/torchrun_ddp.py`
and `peers/mwms_loop.py` are loops written by hand, `peers/lightning_ddp.py` is Lightning's Trainer,
`peers/keras_fit.py` Keras's `fit` in one process. Both sides fetch their data inside the measured
time, train the same model on the same samples, and get the same number of threads.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.harness import (
    PYTHON,
    Options,
    Result,
    Target,
    free_ports,
    in_turns,
    main,
    run,
    run_together,
    say,
)
from benchmarks.training import FRAMEWORKS, RECIPES, train

TARGET, TARGET_OF_FIT = Target(1.0), Target(1.5)
EPOCHS = {"mlp": 8, "digits": 60, "cnn": 4}  # timed ones


@dataclass(frozen=True)
class Cell:
    """One combination to measure."""

    framework: str
    recipe: str
    workers: int

    @property
    def threads(self) -> int:
        """CPU threads of one worker, by the toolkit's own rule."""
        return max(1, len(os.sched_getaffinity(0)) // self.workers)

    def __str__(self) -> str:
        return f"{self.framework} {self.recipe}, {self.workers} worker(s)"


CELLS = [
    Cell(framework, recipe, workers)
    for framework in FRAMEWORKS
    for recipe in EPOCHS
    for workers in (1, 2)
]
QUICK_CELLS = [Cell("torch", "mlp", 2)]


def measure(options: Options) -> list[Result]:
    """A ratio for each cell and peer; above 1, ours is faster."""
    results = []
    for cell in QUICK_CELLS if options.quick else CELLS:
        say(f"throughput: {cell}")
        epochs = 1 if options.quick else EPOCHS[cell.recipe]
        peers = peers_of(cell)
        measures = [partial(each, cell, epochs) for each in (toolkit, *peers.values())]
        ours, *theirs = in_turns(measures, options.pairs)
        for (peer, function), values in zip(peers.items(), theirs, strict=True):
            target = TARGET_OF_FIT if function is keras_fit else TARGET
            results.append(Result(f"{cell} / {peer}", "steps/s", ours, values, target))
    return results


def peers_of(cell: Cell) -> dict[str, Callable[[Cell, int], float]]:
    """What a cell is compared with, by name."""
    match cell:
        case Cell("torch", "digits", _):
            return {"DDP": torchrun_ddp}
        case Cell("torch", _, _):
            return {"DDP": torchrun_ddp, "Lightning": lightning_ddp}
        case Cell("tf", "mlp", 1):
            return {"MWMS": mwms_loop, "Keras fit": keras_fit}
        case _:
            return {"MWMS": mwms_loop}


def toolkit(cell: Cell, epochs: int) -> float:
    """Steps a second of `toolkit train`."""
    done = train(cell.recipe, cell.framework, cell.workers, "--epochs", str(epochs + 1))
    if (done.facts["world"], done.facts["threads"]) != (cell.workers, cell.threads):
        raise RuntimeError(f"asked for {cell}, got {done.facts}")
    return done.speed


def torchrun_ddp(cell: Cell, epochs: int) -> float:
    """Steps a second of PyTorch's DistributedDataParallel, written by hand."""
    return _torchrun("benchmarks.peers.torchrun_ddp", cell, epochs)


def lightning_ddp(cell: Cell, epochs: int) -> float:
    """Steps a second of Lightning."""
    return _torchrun("benchmarks.peers.lightning_ddp", cell, epochs)


def mwms_loop(cell: Cell, epochs: int) -> float:
    """Steps a second of TensorFlow's MultiWorkerMirroredStrategy, written by hand."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(cell.workers)]}
    tasks = [{"type": "worker", "index": index} for index in range(cell.workers)]
    configs = [json.dumps({"cluster": cluster, "task": task}) for task in tasks]
    command = [PYTHON, "-m", "benchmarks.peers.mwms_loop", *_arguments(cell, epochs)]
    first, *_ = run_together(command, [{"TF_CONFIG": config} for config in configs])
    return _speed(first)


def keras_fit(cell: Cell, epochs: int) -> float:
    """Steps a second of Keras's `fit`."""
    command = [PYTHON, "-m", "benchmarks.peers.keras_fit", *_arguments(cell, epochs)]
    return _speed(run(command).stdout)


def _torchrun(module: str, cell: Cell, epochs: int) -> float:
    (port,) = free_ports(1)
    launch = [PYTHON]
    if cell.workers > 1:
        launch += ["-m", "torch.distributed.run", "--nproc-per-node", str(cell.workers)]
        launch += ["--master-port", str(port)]
    return _speed(run([*launch, "-m", module, *_arguments(cell, epochs)]).stdout)


def _arguments(cell: Cell, epochs: int) -> list[str]:
    return [RECIPES[cell.recipe], "--epochs", str(epochs), "--threads", str(cell.threads)]


def _speed(output: str) -> float:
    return float(json.loads(output.splitlines()[-1])["steps_per_second"])


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
