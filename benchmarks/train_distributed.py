"""The whole main job against the two plain scripts that it replaces, in wall time.

Ours is `toolkit run linear --workers 2`: Keras and PyTorch trained on two workers each, both
exported to TFLite and ONNX, every file verified. The peers are `peers/keras_linear.py` and
`peers/torch_linear.py`, one after the other: they train in one process and do nothing else.

Fails where one of our files does not answer 8.0 for 4.0, give or take 0.05.
"""

import json
from pathlib import Path

from benchmarks.harness import (
    PYTHON,
    TOOLKIT,
    Options,
    Result,
    Target,
    alternate,
    main,
    run,
    runs_dir,
    say,
)

TARGET = Target(1.0, at_least=False)
EXPECTED, TOLERANCE = 8.0, 0.05
PEERS = ("benchmarks.peers.keras_linear", "benchmarks.peers.torch_linear")


def measure(options: Options) -> list[Result]:
    """Wall time of the whole job; below 1, ours is faster."""
    say("train_distributed: toolkit run linear, and the two scripts")
    answers: list[float] = []
    printed: list[float] = []

    def ours() -> float:
        wall, probes = toolkit_run()
        answers.extend(probes)
        return wall

    def peer() -> float:
        done = [run([PYTHON, "-m", script]) for script in PEERS]
        printed.extend(float(each.stdout) for each in done)
        return sum(each.wall for each in done)

    times = alternate(ours, peer, options.pairs)
    note = (
        f"our files answer {min(answers):.4f} to {max(answers):.4f}, "
        f"the scripts {min(printed):.4f} to {max(printed):.4f}"
    )
    return [Result("whole job, 2 workers each", "s", *times, TARGET, note=note)]


def toolkit_run() -> tuple[float, list[float]]:
    """Wall time of `toolkit run linear`, and what each of its files answered in each runtime.

    Raises:
        RuntimeError: an answer is wrong or missing.
    """
    with runs_dir() as folder:
        command = [TOOLKIT, "run", "linear", "--workers", "2", "--runs-dir", folder, "--json"]
        done = run(command)
        path = Path(json.loads(done.stdout)["run"])
        checks = json.loads((path / "verification.json").read_text())["checks"]
    files = {(check["framework"], check["target"]) for check in checks}
    if files != {(f, t) for f in ("tf", "torch") for t in ("tflite", "onnx")}:
        raise RuntimeError(f"expected TFLite and ONNX of both frameworks, got {sorted(files)}")
    wrong = [check for check in checks if not abs(check["probe"] - EXPECTED) <= TOLERANCE]
    if wrong:
        raise RuntimeError(f"not {EXPECTED} within {TOLERANCE}: {wrong}")
    return done.wall, [check["probe"] for check in checks]


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
