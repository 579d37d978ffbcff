"""What an exported file answers on the golden vectors. Runs in a process of its own.

The file runs in edge's own code, as on a device; a damaged file takes down this process only.
"""

import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge import steps
from edge.errors import EdgeError
from edge.model import Model
from edge.runtime import load
from toolkit.errors import ToolkitError
from toolkit.recipe import Array

_CHUNK = 128  # samples at a time, where the file takes any number


def first_output(
    content: bytes, name: str, inputs: Mapping[str, Array], done: Mapping[str, int]
) -> Array:
    """The first output for all samples, [n, ...].

    Args:
        content: of a .tflite or .onnx file.
        name: of the file, for messages.
        inputs: preprocessed by the card's steps, by name, each [n, ...].
        done: how many steps that were, by input; the file's manifest may have more.

    Raises:
        ToolkitError: the file cannot be opened or run.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(content)
        try:
            model = load(path)
            return _run(model, _further(model, inputs, done))
        except (EdgeError, ValueError) as error:
            raise ToolkitError(
                str(error).replace(f"{path}: ", "").replace(str(path), name)
            ) from error


def _further(
    model: Model, inputs: Mapping[str, Array], done: Mapping[str, int]
) -> dict[str, Array]:
    """Inputs after the steps that only the file has, such as another order of axes."""
    known = model.manifest.preprocessing if model.manifest else {}
    ready = dict(inputs)
    for name, of_input in known.items():
        if name in ready and (more := list(of_input)[done.get(name, 0) :]):
            ready[name] = steps.apply(more, ready[name])
    return ready


def _run(model: Model, inputs: Mapping[str, Array]) -> Array:
    """Feed all samples; a last batch that is too small is filled up and cut again.

    Where any size is taken the first sample goes alone, as verification does it: a file whose
    ranges are dynamic answers by the batch.
    """
    fixed = next((t.shape[0] for t in model.inputs if t.shape and t.shape[0] is not None), None)
    count = len(next(iter(inputs.values())))
    cuts = [0, *range(fixed or 1, count, fixed or _CHUNK), count]
    first, parts = model.outputs[0].name, []
    for start, end in pairwise(cuts):
        rows = np.arange(start, end)
        filled = np.resize(rows, fixed) if fixed else rows
        outputs = model.predict({name: array[filled] for name, array in inputs.items()})
        parts.append(outputs[first][: len(rows)])
    return np.concatenate(parts)
