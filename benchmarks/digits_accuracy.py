"""Validation accuracy of the digits recipe over seeds 0 to 4, and what export does to decisions.

Each seed is one `toolkit run digits`: both frameworks trained, exported to TFLite and ONNX, and
verified. Judged are the worst seed of each framework, and the smallest share of golden samples
whose decision an exported file keeps.
"""

import json
from pathlib import Path

from benchmarks.harness import TOOLKIT, Options, Result, Target, main, run, runs_dir, say

ACCURACY, KEPT = Target(0.97), Target(1.0)
SEEDS = range(5)
TITLES = {"tf": "TensorFlow", "torch": "PyTorch"}


def measure(options: Options) -> list[Result]:
    """Accuracy of each framework, and the share of decisions kept."""
    accuracy: dict[str, list[float]] = {framework: [] for framework in TITLES}
    kept: list[float] = []
    for seed in SEEDS[:1] if options.quick else SEEDS:
        say(f"digits_accuracy: seed {seed}")
        with runs_dir() as folder:
            command = [TOOLKIT, "run", "digits", "--seed", str(seed), "--runs-dir", folder]
            path = Path(json.loads(run([*command, "--json"]).stdout)["run"])
            facts = json.loads((path / "run.json").read_text())["frameworks"]
            checks = json.loads((path / "verification.json").read_text())["checks"]
        for framework, values in accuracy.items():
            values.append(facts[framework]["val_accuracy"])
        kept.append(min(check["kept"] for check in checks))
    results = [
        Result(f"digits accuracy, {TITLES[framework]}", "", values, target=ACCURACY, worst=True)
        for framework, values in accuracy.items()
    ]
    return [*results, Result("digits decisions kept", "", kept, target=KEPT, worst=True)]


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
