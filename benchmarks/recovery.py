"""A training worker killed in the middle of a run (SIGKILL): how soon it goes on, and to what end.

Each framework alone trains `recipes/smooth.py` on two workers, deterministic, with a checkpoint
every epoch.
- Detection: from the kill to the message that a worker died.
- Restart: from then to the first row of metrics.jsonl that the new workers wrote, which includes
  an epoch's steps.
- The final weights must be those of an undisturbed run: bit for bit with as many workers, and
  within 1e-5 where the run ends (`--max-failures 0`) and is resumed on one worker.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.background import Background
from benchmarks.harness import TOOLKIT, Options, Result, Target, main, run, runs_dir, say
from benchmarks.training import FRAMEWORKS, Trained, command, greatest_difference, read, train

DETECTION, RESTART = Target(5.0, at_least=False), Target(10.0, at_least=False)
EQUAL, CLOSE = Target(0.0, at_least=False), Target(1e-5, at_least=False)
RECIPE = "smooth"
EPOCHS, QUICK_EPOCHS = 20, 10
KILL_AFTER = 3  # epochs
WORKER_FAILED = 3  # exit code


@dataclass(frozen=True)
class Killed:
    """A run that lost a worker and went on: seconds, and how it ended."""

    detection: float
    restart: float
    trained: Trained


def measure(options: Options) -> list[Result]:
    """Seconds, and differences of weights."""
    results = []
    for framework in FRAMEWORKS[:1] if options.quick else FRAMEWORKS:
        say(f"recovery: {framework}, a worker killed")
        epochs = QUICK_EPOCHS if options.quick else EPOCHS
        runs = [killed(framework, epochs) for _ in range(options.pairs)]
        detection, restart = [each.detection for each in runs], [each.restart for each in runs]
        results += [
            Result(f"{framework}, kill to detection", "s", detection, target=DETECTION),
            Result(f"{framework}, detection to training", "s", restart, target=RESTART),
        ]
        if not options.quick:
            results += _weights(framework, epochs, [each.trained for each in runs])
    return results


def killed(framework: str, epochs: int) -> Killed:
    """Kill a worker of a run and see it through.

    Raises:
        RuntimeError: it did not end well, or not in two attempts.
    """
    with runs_dir() as folder, Background(_command(framework, epochs, folder)) as training:
        at = kill_a_worker(training, Path(folder))
        detected = training.wait_for_line("died")
        again = _wait_for_row(training, Path(folder), detected)
        training.wait(0)
        trained = read(_run_in(Path(folder)), framework)
    if trained.facts["attempts"] != 2:
        raise RuntimeError(f"one kill should make two attempts, not {trained.facts['attempts']}")
    return Killed(detected - at, again - detected, trained)


def resumed(framework: str, epochs: int) -> Trained:
    """Kill a worker of a run on two workers that then ends, and resume it on one."""
    with runs_dir() as folder:
        options = ("--max-failures", "0")
        with Background(_command(framework, epochs, folder, *options)) as training:
            kill_a_worker(training, Path(folder))
            training.wait(WORKER_FAILED)
        run([TOOLKIT, "train", "--resume", "--workers", "1", "--runs-dir", folder])
        return read(_run_in(Path(folder)), framework)


def kill_a_worker(training: Background, folder: Path) -> float:
    """SIGKILL one of the workers once some epochs are trained; return the wall time."""
    training.wait_until(lambda: len(_row_times(folder)) >= KILL_AFTER)
    return training.kill_one("ray::Worker")


def _weights(framework: str, epochs: int, runs: list[Trained]) -> list[Result]:
    say(f"recovery: {framework}, undisturbed, and resumed on one worker")
    calm = train(RECIPE, framework, 2, *_options(epochs))
    same = [greatest_difference(each, calm) for each in runs]
    other = [greatest_difference(resumed(framework, epochs), calm)]
    name = f"{framework}, weights, killed - undisturbed"
    return [
        Result(f"{name}, 2 workers", "", same, target=EQUAL, worst=True),
        Result(f"{name}, then 1 worker", "", other, target=CLOSE, worst=True),
    ]


def _options(epochs: int) -> tuple[str, ...]:
    return ("--epochs", str(epochs), "--checkpoint-every", "epoch", "--deterministic")


def _command(framework: str, epochs: int, folder: str, *options: str) -> list[str]:
    arguments = command(RECIPE, framework, 2, *_options(epochs), *options)
    return [*arguments, "--runs-dir", folder]


def _run_in(folder: Path) -> Path:
    (path,) = [each for each in folder.iterdir() if each.is_dir()]
    return path


def _row_times(folder: Path) -> list[float]:
    """When the epochs so far ended, in seconds since 1970."""
    for path in folder.glob("*/metrics.jsonl"):
        return [json.loads(line)["time"] for line in path.read_text().splitlines()]
    return []


def _wait_for_row(training: Background, folder: Path, after: float) -> float:
    training.wait_until(lambda: max(_row_times(folder), default=0) > after)
    return min(each for each in _row_times(folder) if each > after)


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
