"""What the zoos of both frameworks share: models are made, answer, and are converted in a child.

For each model a folder gets `inputs.npz`, `expected.npz` (the source's own answers), one file a
target and `result.json`: batch, note and seconds by target, or the error.
"""

import importlib
import json
import os
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge.manifest import Manifest
from edge.tensor import Tensor
from toolkit.errors import ToolkitError
from toolkit.export.convert import convert
from toolkit.export.job import ExportJob
from toolkit.models.predict import predict
from toolkit.models.source import ModelSource, read


@dataclass(frozen=True)
class Case:
    """A model, what it is asked, and how it is converted."""

    model: ModelSource
    inputs: Mapping[str, np.ndarray]
    targets: Sequence[str] = ("tflite", "onnx")
    options: Mapping[str, object] = field(default_factory=dict)
    free: Mapping[str, Sequence[int]] = field(default_factory=dict)  # axes by input or output


def convert_all(zoo: str, names: Sequence[str], folder: Path) -> None:
    """Convert models of 'keras_zoo' or 'torch_zoo' in this process, which loads the framework."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="2", KERAS_BACKEND="tensorflow", CUDA_VISIBLE_DEVICES="")
    cases = importlib.import_module(f"tests.export.{zoo}").CASES
    for name in names:
        (folder / f"{name}-source").mkdir()
        carry_out(name, cases[name](folder / f"{name}-source"), folder)


def carry_out(name: str, case: Case, folder: Path) -> None:
    (folder / name).mkdir()
    expected = predict(case.model, case.inputs)
    permute = case.options.get("permute", {})
    given = {
        key: array.transpose(0, *(axis + 1 for axis in permute[key])) if key in permute else array
        for key, array in case.inputs.items()
    }
    np.savez(folder / name / "inputs.npz", **given)
    np.savez(folder / name / "expected.npz", **expected)
    results = {}
    for target in case.targets:
        started = time.perf_counter()
        manifest = Manifest(
            name=name,
            framework=case.model.framework,
            target=target,
            precision="fp32",
            inputs=_tensors(given, case),
            outputs=_tensors(expected, case),
        )
        try:
            done = convert(ExportJob(case.model, target, manifest, **case.options))
        except ToolkitError as error:
            results[target] = {"error": str(error), "kind": type(error).__name__}
            continue
        except Exception:  # noqa: BLE001 - the test shows it
            results[target] = {"error": traceback.format_exc(), "kind": "crash"}
            continue
        for file, content in done.files.items():
            path = folder / name / (f"model.{target}" if not file else f"{target}/{file}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if target in ("savedmodel", "pt2"):
            place = folder / name / (target if target == "savedmodel" else f"model.{target}")
            np.savez(folder / name / f"{target}.npz", **predict(read(str(place)), given))
        seconds = round(time.perf_counter() - started, 2)
        results[target] = {"batch": done.batch, "note": done.note, "seconds": seconds}
    (folder / name / "result.json").write_text(json.dumps(results))


def _tensors(arrays: Mapping[str, np.ndarray], case: Case) -> tuple[Tensor, ...]:
    def shape(name: str, array: np.ndarray) -> tuple[int | None, ...]:
        free = case.free.get(name, ())
        sizes = (None if axis in free else size for axis, size in enumerate(array.shape))
        return (case.options.get("batch"), *list(sizes)[1:])

    return tuple(Tensor(n, shape(n, a), a.dtype.name) for n, a in arrays.items())
