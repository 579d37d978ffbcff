"""`toolkit train`, `export` and `verify` as the benchmarks of exported files use them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, TOOLKIT, run

FRAMEWORKS, TARGETS = ("tf", "torch"), ("tflite", "onnx")
PRECISIONS = ("fp32", "fp16", "dynamic", "int8")
RECIPES = {
    "digits": "digits",
    "fashion": str(ROOT / "benchmarks" / "recipes" / "fashion.py"),
    "mobilenet": str(ROOT / "benchmarks" / "recipes" / "mobilenet.py"),
    "encoder": str(ROOT / "benchmarks" / "recipes" / "encoder.py"),
}
_MODELS = {"tf": "tf/model.keras", "torch": "torch/model.safetensors"}


@dataclass(frozen=True)
class TrainedRun:
    """A run of one of RECIPES in both frameworks.

    Attributes:
        recipe: its name.
        path: of the run.
    """

    recipe: str
    path: Path

    def model(self, framework: str) -> str:
        """Path of a trained model."""
        return str(self.path / _MODELS[framework])

    def export(self, precisions: Sequence[str], *options: str) -> tuple[float, list[Any]]:
        """Export to both targets; seconds that the command took, and a row of each file."""
        wanted = [part for name in precisions for part in ("--precision", name)]
        done = run([*self._command("export"), *wanted, *options])
        return done.wall, json.loads(done.stdout)["exports"]

    def verify(self) -> list[Mapping[str, Any]]:
        """One row a check of a file that was exported, whether it passed or not."""
        record = self.path / "verification.json"
        try:
            run(self._command("verify"))
        except RuntimeError:  # a check that fails is a figure, too
            if not record.is_file():
                raise
        checks: list[Mapping[str, Any]] = json.loads(record.read_text())["checks"]
        return checks

    def _command(self, name: str) -> list[str]:
        return [
            TOOLKIT,
            name,
            "--run",
            self.path.name,
            "--runs-dir",
            str(self.path.parent),
            "--json",
        ]


def trained(recipe: str, runs_dir: str, *options: str) -> TrainedRun:
    """Train one of RECIPES with one worker in both frameworks."""
    command = [
        TOOLKIT,
        "train",
        RECIPES.get(recipe, recipe),
        "--workers",
        "1",
        "--runs-dir",
        runs_dir,
    ]
    done = run([*command, "--json", *options])
    return TrainedRun(recipe, Path(json.loads(done.stdout)["run"]))
