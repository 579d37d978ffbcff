"""An exported file on golden samples: its answers, its tensors. For processes of their own.

Samples are brought into the layout and the batches that the file takes.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.manifest import Manifest
from edge.manifest_tflite import read_from_tflite
from edge.runtime import load
from toolkit.recipe import Array
from toolkit.verify import layers_onnx, layers_tflite
from toolkit.verify.layers import LayerError, Tap, first_bad, layer_errors

_SAMPLES = 8  # that layers are looked at with


@dataclass(frozen=True)
class Asked:
    """Golden samples.

    Attributes:
        inputs: preprocessed as the trained model takes them, by name, each [n, ...].
        steps: how many preprocessing steps each input had; a file may have more.
        outputs: the trained model's, by name, each [n, ...].
    """

    inputs: Mapping[str, Array]
    steps: Mapping[str, int]
    outputs: Mapping[str, Array]


@dataclass(frozen=True)
class Suspect:
    """What comparing a file's tensors with those of its fp32 form gave.

    Attributes:
        bad: the first bad tensor, if one stands out.
        worst: the one with the greatest error, if any were compared.
    """

    bad: LayerError | None
    worst: LayerError | None


def answers(content: bytes, target: str, asked: Asked) -> tuple[str, dict[str, Array]]:
    """The runtime's name, and outputs by name as a device computes them, on the chosen samples."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{target}"
        path.write_bytes(content)
        model = load(path)
        feeds = file_feeds(_manifest(content, target), asked)
        runs = [model.predict(feed) for feed in feeds]
    return model.runtime, {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}


def answers_by_reference(content: bytes, asked: Asked) -> dict[str, Array]:
    """Outputs by name as ONNX's own plain evaluator computes them."""
    feeds = file_feeds(layers_onnx.manifest_of(content), asked)
    return layers_onnx.answer_by_reference(content, feeds)


def record(content: bytes, target: str, asked: Asked) -> list[Tap]:
    """The file's tensors in the order of their making."""
    manifest = _manifest(content, target)
    recorder = layers_tflite.record if target == "tflite" else layers_onnx.record
    return recorder(content, manifest, file_feeds(manifest, asked))


def arrays_and_feeds(
    content: bytes, target: str, asked: Asked
) -> tuple[list[Array], list[dict[str, Array]]]:
    """Values of the file's tensors, and the inputs of each run as the trained model takes them."""
    feeds = _batches(_manifest(content, target), asked.inputs)
    return [tap.values for tap in record(content, target, asked)], feeds


def suspect(fp32: bytes, content: bytes, target: str, asked: Asked) -> Suspect:
    """Compare the tensors of a file with those of the fp32 file that it was made from."""
    errors = layer_errors(record(fp32, target, asked), record(content, target, asked))
    worst = max(errors, key=lambda one: one.error, default=None)
    return Suspect(first_bad(errors), worst)


def chosen(outputs: Mapping[str, Array], count: int) -> dict[str, Array]:
    """The golden outputs of the samples that were asked."""
    return {name: array[:count] for name, array in outputs.items()}


def file_feeds(manifest: Manifest | None, asked: Asked) -> list[dict[str, Array]]:
    """Inputs of each run as the file takes them.

    Raises:
        ValueError: the file takes more samples at a time than there are.
    """
    inputs = dict(asked.inputs)
    for name, steps in manifest.preprocessing.items() if manifest else ():
        for step in list(steps)[asked.steps.get(name, len(steps)) :]:
            if step["step"] == "transpose":
                inputs[name] = inputs[name].transpose(0, *(axis + 1 for axis in step["axes"]))
    return _batches(manifest, inputs)


def _batches(manifest: Manifest | None, inputs: Mapping[str, Array]) -> list[dict[str, Array]]:
    shape: Sequence[int | None] = manifest.inputs[0].shape if manifest else ()
    there = len(next(iter(inputs.values())))
    size = (shape[0] if shape else None) or min(_SAMPLES, there)
    if there < size:
        raise ValueError(f"the file takes {size} samples at a time, there are {there}")
    runs = max(1, min(_SAMPLES, there) // size)
    return [
        {name: array[i * size : (i + 1) * size] for name, array in inputs.items()}
        for i in range(runs)
    ]


def _manifest(content: bytes, target: str) -> Manifest | None:
    return read_from_tflite(content) if target == "tflite" else layers_onnx.manifest_of(content)
