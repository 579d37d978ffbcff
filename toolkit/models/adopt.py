"""Models of a run, and runs for models that were trained elsewhere.

An adopted model gets a run directory like a trained one: its files, a card, golden vectors that it
answered itself, and the samples that came with it. Everything after training works on it alike.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.artifacts import MODEL_FILES, Golden
from toolkit.card import Card
from toolkit.data.evidence import SAMPLES_FILE, to_bytes
from toolkit.data.load import preprocess
from toolkit.errors import UsageError
from toolkit.hosts import Host
from toolkit.models.predict import predict
from toolkit.models.source import ModelSource
from toolkit.recipe import Array
from toolkit.runs import Run

_GOLDEN = 512  # samples that become golden vectors, at most


@dataclass(frozen=True)
class Given:
    """Samples that came with a model.

    Attributes:
        inputs: raw, by name, each [n, ...].
        targets: [n, ...], or None where nobody knows them.
        real: whether they are data, and not made up from the model's signature.
    """

    inputs: Mapping[str, Array]
    targets: Array | None = None
    real: bool = True


def models_of(run: Run) -> dict[str, ModelSource]:
    """A run's models by framework.

    Raises:
        NotFoundError: a model's file is missing.
        UsageError: a model's file was changed.
    """
    if (adopted := run.facts.get("model")) is None:
        return {
            framework: ModelSource(
                "recipe",
                framework,
                {MODEL_FILES[framework]: run.read(f"{framework}/{MODEL_FILES[framework]}")},
                recipe=run.source,
            )
            for framework in run.frameworks
        }
    framework = adopted["framework"]
    files = {name: run.read(f"{framework}/{name}") for name in adopted["files"]}
    if _hash(files) != adopted["sha256"]:
        raise UsageError(f"the model in {run.path / framework} was changed; adopt it again")
    model = ModelSource(adopted["kind"], framework, files, function=adopted["function"])
    return {framework: model}


def adopt(root: Path, model: ModelSource, card: Card, given: Given, children: Host) -> Run:
    """Make a run directory for a model that was trained elsewhere.

    Args:
        root: folder of all runs.
        model: the model.
        card: what it means.
        given: samples for golden vectors, calibration and judgement.
        children: where the model answers the golden samples.

    Raises:
        UsageError: the model cannot be read, or does not take the samples.
        HostError: the process that ran it died.
    """
    run = Run.adopt(root, card, {"model": _describe(model)})
    for name, content in model.files.items():
        run.write(f"{model.framework}/{name}", content)
    count = len(next(iter(given.inputs.values())))
    ids = np.linspace(0, count - 1, min(_GOLDEN, count)).round().astype(int)
    raw = {name: array[ids] for name, array in given.inputs.items()}
    log = run.log(f"adopt-{model.framework}")
    outputs = children.submit(predict, model, preprocess(card, raw), log=log).result()
    targets = np.zeros(len(ids), np.int64) if given.targets is None else given.targets[ids]
    golden = Golden(raw, outputs, targets)
    run.write(f"{model.framework}/golden.npz", golden.to_bytes())
    if given.real:
        run.write(SAMPLES_FILE, to_bytes(given.inputs, given.targets))
    run.record_framework(model.framework, {"notes": [], "samples": count})
    run.update(status="adopted")
    return run


def _describe(model: ModelSource) -> dict[str, object]:
    return {
        "kind": model.kind,
        "framework": model.framework,
        "files": list(model.files),
        "function": model.function,
        "sha256": _hash(model.files),
    }


def _hash(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode())
        digest.update(files[name])
    return digest.hexdigest()
