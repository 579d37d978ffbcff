"""An exported file opened in this process, whatever its target; and how it is fed.

.tflite and .onnx files run in edge's own code, which ships; SavedModels and programs of
torch.export, in an archive of TorchServe as well, in their framework, which this process must not
share with another.
"""

import io
import itertools
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.manifest import Manifest
from edge.model import Model
from edge.runtime import load
from toolkit.errors import UsageError
from toolkit.models.predict import predict
from toolkit.models.source import ModelSource
from toolkit.recipe import Array

_CHUNK = 128  # samples at a time, where a file takes any number
_PROGRAM = "model.tflite"
_FOLDER = "1/"  # the version that TensorFlow Serving wants to see
_MANIFEST = "manifest.json"
_ARCHIVED = "model.pt2"  # in an archive of TorchServe

Run = Callable[[Mapping[str, Array]], dict[str, Array]]


@dataclass(frozen=True)
class Opened:
    """A file that is ready to answer.

    Attributes:
        runtime: name and, where the runtime has one of its own, version.
        manifest: that the file carries, or None.
        predict: from inputs by name, each [n, ...], to outputs by name; any n.
    """

    runtime: str
    manifest: Manifest | None
    predict: Run


def open_file(files: Mapping[str, bytes], target: str, name: str) -> Opened:
    """Open what was exported.

    Args:
        files: content by relative name; that of a single file is ''.
        target: 'tflite', 'onnx', 'savedmodel', 'pt2', 'torchserve' or 'micro'.
        name: of the file, for messages.

    Raises:
        EdgeError: it cannot be read.
        UsageError: likewise, from a framework.
    """
    match target:
        case "savedmodel":
            inner = {n.removeprefix(_FOLDER): content for n, content in files.items()}
            manifest = _parsed(inner.get(f"assets.extra/{_MANIFEST}"))
            return _framework(ModelSource("savedmodel", "tf", inner), "tf.saved_model", manifest)
        case "pt2":
            manifest = _parsed(_extra_file(files[""]))
            source = ModelSource("pt2", "torch", {name: files[""]})
            return _framework(source, "torch.export", manifest)
        case "torchserve":
            return _archive(files[""], name)
        case "micro":  # the file that the program was made of
            return _edge(files[_PROGRAM], _PROGRAM)
        case _:
            return _edge(files[""], name)


def _archive(content: bytes, name: str) -> Opened:
    """The program in a .mar file, and the manifest that its handler goes by."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            program, text = archive.read(_ARCHIVED), archive.read(_MANIFEST)
    except (zipfile.BadZipFile, KeyError) as error:
        raise UsageError(f"{name} cannot be read: {error}; export it again") from error
    opened = open_file({"": program}, "pt2", _ARCHIVED)
    manifest = Manifest.from_json(text)
    if manifest != opened.manifest:
        raise UsageError(f"{name}: {_MANIFEST} differs from the one in {_ARCHIVED}; export again")
    return opened


def _edge(content: bytes, name: str) -> Opened:
    with tempfile.TemporaryDirectory() as folder:  # a runtime keeps its file open, or has read it
        path = Path(folder) / name
        path.write_bytes(content)
        model = load(path)
    return Opened(model.runtime, model.manifest, lambda inputs: _run(model, inputs))


def _run(model: Model, inputs: Mapping[str, Array]) -> dict[str, Array]:
    sizes = [tensor.shape[0] for tensor in model.inputs if tensor.shape]
    return in_chunks(model.predict, inputs, next(iter(sizes), None))


def _framework(source: ModelSource, runtime: str, manifest: Manifest | None) -> Opened:
    size = manifest.inputs[0].shape[0] if manifest and manifest.inputs[0].shape else None
    wanted = [tensor.name for tensor in manifest.outputs] if manifest else []

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        outputs = predict(source, inputs)
        names = [f"output_{index}" for index in range(len(wanted))]
        if runtime == "torch.export" and list(outputs) == names:  # its outputs have an order only
            return dict(zip(wanted, outputs.values(), strict=True))
        return outputs

    if size is None:
        return Opened(runtime, manifest, run)
    return Opened(runtime, manifest, lambda inputs: in_chunks(run, inputs, size))


def in_chunks(run: Run, inputs: Mapping[str, Array], size: int | None) -> dict[str, Array]:
    """Feed samples by the batches that a file takes; a last one is filled up and cut again.

    Where any size is taken the first sample goes alone, as on a device: a size that was fixed
    somewhere inside shows.

    Args:
        run: takes one batch.
        inputs: by name, each [n, ...].
        size: the batch size that the file fixes, or None.
    """
    count = len(next(iter(inputs.values())))
    first, step = size or 1, size or _CHUNK
    cuts = [0, *range(first, count, step), count]
    parts = []
    for start, end in itertools.pairwise(cuts):
        ids = np.arange(start, end)
        filled = np.resize(ids, size) if size else ids
        outputs = run({name: array[filled] for name, array in inputs.items()})
        parts.append({n: a[: len(ids)] if a.ndim else a for n, a in outputs.items()})
    return {name: np.concatenate([np.atleast_1d(p[name]) for p in parts]) for name in parts[0]}


def appended(
    steps: Mapping[str, Sequence[Mapping[str, object]]],
    base: Mapping[str, Sequence[Mapping[str, object]]],
) -> dict[str, list[int]] | None:
    """Axes by input of the transpose step that `steps` have beyond `base`; None if more differs.

    An export in another layout has such a step; all else about preprocessing must be alike.
    """
    axes = dict[str, list[int]]()
    for name in {**steps, **base}:
        mine, other = list(steps.get(name, ())), list(base.get(name, ()))
        further = mine[len(other) :]
        if mine[: len(other)] != other or len(further) > 1:
            return None
        if further:
            step = further[0]
            if step.get("step") != "transpose" or not isinstance(order := step.get("axes"), list):
                return None
            axes[name] = order
    return axes


def turned(inputs: Mapping[str, Array], axes: Mapping[str, Sequence[int]]) -> dict[str, Array]:
    """Inputs by name with the axes of each sample in another order."""
    return {
        name: array.transpose(0, *(axis + 1 for axis in axes[name])) if name in axes else array
        for name, array in inputs.items()
    }


def _parsed(text: bytes | None) -> Manifest | None:
    return None if text is None else Manifest.from_json(text)


def _extra_file(content: bytes) -> bytes | None:
    """The manifest inside a .pt2 file, which is a zip archive with a folder of extra files."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = [n for n in archive.namelist() if n.endswith(f"extra/{_MANIFEST}")]
            return archive.read(found[0]) if found else None
    except zipfile.BadZipFile:
        return None  # whoever opens it says so
