"""`toolkit train` as the benchmarks use it: a run to its end, and what it left behind."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import ROOT, TOOLKIT, run, runs_dir

FRAMEWORKS = ("torch", "tf")
RECIPES = {
    "mlp": str(ROOT / "benchmarks" / "recipes" / "mlp.py"),
    "cnn": str(ROOT / "benchmarks" / "recipes" / "cnn.py"),
    "smooth": str(ROOT / "benchmarks" / "recipes" / "smooth.py"),
    "digits": "digits",
}
_MODELS = {"tf": "model.keras", "torch": "model.safetensors"}


@dataclass(frozen=True)
class Trained:
    """A finished run of one framework.

    Attributes:
        facts: the framework's part of run.json.
        rows: of metrics.jsonl, one an epoch.
        weights: of the final model, by name.
    """

    facts: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    weights: Mapping[str, Any]

    @property
    def speed(self) -> float:
        """Steps a second without the first chunk, which compiles, and without validation."""
        return float(self.facts["steps_per_second"])

    @property
    def steady_seconds(self) -> float:
        """From the end of the first epoch to the end of the last, whatever was done between."""
        return float(self.rows[-1]["time"] - self.rows[0]["time"])


def on_cpu(number: int) -> tuple[str, ...]:
    """A command that holds another one on a CPU: the toolkit sees one CPU, and takes one thread."""
    return ("taskset", "--cpu-list", str(number))


def command(recipe: str, framework: str, workers: int, *options: str) -> list[str]:
    """The command line that trains one of RECIPES."""
    start = [TOOLKIT, "train", RECIPES[recipe], "--framework", framework]
    return [*start, "--workers", str(workers), *options]


def train(
    recipe: str, framework: str, workers: int, *options: str, under: Sequence[str] = ()
) -> Trained:
    """Train one of RECIPES to its end; `under` is a command that runs it, such as `on_cpu(0)`."""
    with runs_dir() as folder:
        arguments = command(recipe, framework, workers, *options)
        done = run([*under, *arguments, "--runs-dir", folder, "--json"])
        return read(Path(json.loads(done.stdout)["run"]), framework)


def read(folder: Path, framework: str) -> Trained:
    """What a run directory holds."""
    facts = json.loads((folder / "run.json").read_text())["frameworks"][framework]
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    content = (folder / framework / _MODELS[framework]).read_bytes()
    return Trained(facts, [json.loads(line) for line in lines], _weights(content, framework))


def greatest_difference(one: Trained, other: Trained) -> float:
    """Of all weights; 0 where the models are equal bit for bit."""
    if one.weights.keys() != other.weights.keys():
        raise RuntimeError(f"the models differ: {sorted(one.weights)}, {sorted(other.weights)}")
    pairs = [(array, other.weights[name]) for name, array in one.weights.items()]
    return max(float(np.abs(a.astype(np.float64) - b).max()) for a, b in pairs)


def _weights(content: bytes, framework: str) -> dict[str, Any]:
    if framework == "torch":
        from safetensors.numpy import load

        return dict(load(content))
    import h5py

    arrays: dict[str, Any] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        file = h5py.File(io.BytesIO(archive.read("model.weights.h5")))

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            arrays[name] = item[()]

    file.visititems(visit)
    return arrays
