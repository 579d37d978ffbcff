"""Optimizer steps a second in steady state, against hand-written loops of each framework.

Ours is `toolkit train`; its figure leaves out the first chunk of steps, which compiles, and
validation. The peers are `peers/torchrun_ddp.py` and `peers/mwms_loop.py`; theirs leaves out a
warm-up epoch, and they do not validate. Both sides fetch their data inside the measured time,
train the same model on the same samples, and get the same number of threads.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.harness import (
    PYTHON,
    ROOT,
    TOOLKIT,
    Options,
    Result,
    Target,
    alternate,
    free_ports,
    main,
    run,
    run_together,
    runs_dir,
    say,
)

TARGET = Target(1.0)
RECIPES = {"mlp": str(ROOT / "benchmarks" / "recipes" / "mlp.py"), "digits": "digits"}
EPOCHS = {"mlp": 8, "digits": 60}  # timed ones


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


CELLS = [
    Cell(framework, recipe, workers)
    for framework in ("torch", "tf")
    for recipe in RECIPES
    for workers in (1, 2)
]
QUICK_CELLS = [Cell("torch", "mlp", 2)]


def measure(options: Options) -> list[Result]:
    """A ratio for each cell; above 1, ours is faster."""
    results = []
    for cell in QUICK_CELLS if options.quick else CELLS:
        epochs = 1 if options.quick else EPOCHS[cell.recipe]
        name = f"{cell.framework} {cell.recipe}, {cell.workers} worker(s)"
        say(f"throughput: {name}")
        peer = {"torch": torchrun_ddp, "tf": mwms_loop}[cell.framework]
        ours, theirs = alternate(*_bind(cell, epochs, peer), options.pairs)
        results.append(Result(name, "steps/s", ours, theirs, TARGET))
    return results


def toolkit(cell: Cell, epochs: int) -> float:
    """Steps a second of `toolkit train`."""
    with runs_dir() as folder:
        command = [TOOLKIT, "train", RECIPES[cell.recipe], "--framework", cell.framework]
        command += ["--workers", str(cell.workers), "--epochs", str(epochs + 1)]
        done = run([*command, "--runs-dir", folder, "--json"])
    facts = json.loads(done.stdout)["frameworks"][cell.framework]
    if (facts["world"], facts["threads"]) != (cell.workers, cell.threads):
        raise RuntimeError(f"asked for {cell}, got {facts}")
    return float(facts["steps_per_second"])


def torchrun_ddp(cell: Cell, epochs: int) -> float:
    """Steps a second of PyTorch's DistributedDataParallel, written by hand."""
    (port,) = free_ports(1)
    launch = [PYTHON]
    if cell.workers > 1:
        launch += ["-m", "torch.distributed.run", "--nproc-per-node", str(cell.workers)]
        launch += ["--master-port", str(port)]
    done = run([*launch, "-m", "benchmarks.peers.torchrun_ddp", *_arguments(cell, epochs)])
    return float(json.loads(done.stdout)["steps_per_second"])


def mwms_loop(cell: Cell, epochs: int) -> float:
    """Steps a second of TensorFlow's MultiWorkerMirroredStrategy, written by hand."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(cell.workers)]}
    tasks = [{"type": "worker", "index": index} for index in range(cell.workers)]
    configs = [json.dumps({"cluster": cluster, "task": task}) for task in tasks]
    command = [PYTHON, "-m", "benchmarks.peers.mwms_loop", *_arguments(cell, epochs)]
    first, *_ = run_together(command, [{"TF_CONFIG": config} for config in configs])
    return float(json.loads(first)["steps_per_second"])


def _arguments(cell: Cell, epochs: int) -> list[str]:
    return [RECIPES[cell.recipe], "--epochs", str(epochs), "--threads", str(cell.threads)]


def _bind(
    cell: Cell, epochs: int, peer: Callable[[Cell, int], float]
) -> tuple[Callable[[], float], Callable[[], float]]:
    return lambda: toolkit(cell, epochs), lambda: peer(cell, epochs)


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
