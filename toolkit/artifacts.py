"""The values that stages hand to each other: golden vectors, exported files, checks."""

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from toolkit.recipe import TITLES, Array

MODEL_FILES = {"tf": "model.keras", "torch": "model.safetensors"}
TARGETS = ("tflite", "onnx")
PRECISIONS = ("fp32", "fp16", "dynamic", "int8", "int8-float", "16x8")
DEFAULT_OPSET = 18
"""ONNX operator set of files that were asked for without one."""


@dataclass(frozen=True)
class Golden:
    """Validation samples and what the trained model answered; travels with the model.

    Round trip: `Golden.from_bytes(golden.to_bytes())` holds equal arrays.

    Attributes:
        inputs: raw inputs by name, each [n, ...], before preprocessing; texts as `texts` has them.
        outputs: the trained model's outputs by name, each [n, ...].
        targets: what the data says, [n, ...].
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    targets: Array

    def to_bytes(self) -> bytes:
        """Serialise as .npz without pickle."""
        arrays = {f"input.{name}": array for name, array in self.inputs.items()}
        arrays |= {f"output.{name}": array for name, array in self.outputs.items()}
        return to_npz(arrays | {"targets": self.targets})

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        groups: dict[str, dict[str, Array]] = {"input": {}, "output": {}}
        arrays = from_npz(content)
        for key, array in arrays.items():
            group, _, name = key.partition(".")
            if name:
                groups[group][name] = array
        return cls(groups["input"], groups["output"], arrays["targets"])


@dataclass(frozen=True)
class Export:
    """One exported file.

    Attributes:
        file: path relative to the run directory.
        target: 'tflite', 'onnx', 'savedmodel', 'pt2', 'torchserve' or 'micro'.
        precision: one of `PRECISIONS`.
        batch: the fixed batch size, or None where any batch is taken.
        sha256: of the file; of names and contents where it is a folder.
        calibration: SHA-256 of the samples that static quantisation saw, or ''.
        note: what a user should know about it, such as why the batch is fixed.
    """

    file: str
    framework: str
    target: str
    precision: str
    batch: int | None
    bytes: int
    sha256: str
    seconds: float
    note: str = ""
    calibration: str = ""


@dataclass(frozen=True)
class Check:
    """One exported file compared with the trained model in one runtime.

    Attributes:
        runtime: such as 'onnxruntime 1.32.0'; with ' via tf2onnx' for a converted TFLite file.
        probe: the answer to the recipe's probe, or None.
        error: greatest difference on the golden vectors, divided by the reference's range.
        kept: share of golden samples whose decision is unchanged, 0 to 1.
        passed: whether all levels passed.
        reason: why not, or ''.
        snr: signal to noise ratio of the outputs in dB, or None.
        metric: name of the task's metric, or '' where there is none.
        before: the trained model's metric on the validation samples.
        after: the file's.
        drop: by how much it got worse; below 0 it got better.
        low: lower end of the drop's 95 % interval.
        high: its upper end.
        samples: how many validation samples the metric saw.
        sha256: of the file that was checked.
        blame: which step or layer is at fault, where that was looked for.
    """

    file: str
    framework: str
    target: str
    runtime: str
    probe: float | int | None
    error: float | None
    kept: float | None
    passed: bool
    reason: str = ""
    snr: float | None = None
    metric: str = ""
    before: float | None = None
    after: float | None = None
    drop: float | None = None
    low: float | None = None
    high: float | None = None
    samples: int = 0
    sha256: str = ""
    blame: str = ""


def files_hash(files: Mapping[str, bytes]) -> str:
    """SHA-256 of a file, or of the names and hashes of a folder's files."""
    if list(files) == [""]:
        return hashlib.sha256(files[""]).hexdigest()
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def texts(values: Iterable[str]) -> Array:
    """Texts as the toolkit keeps them: an array [n] of Python's `str`.

    They take 1 to 4 bytes a character; numpy's `<U` takes 4 for each character of the longest.
    """
    listed = list(values)
    array = np.empty(len(listed), object)
    array[:] = listed
    return array


def fixed_width(array: Array) -> Array:
    """Texts as numpy's `<U`, the only kind that a file without pickle can hold; else the array."""
    return array.astype(np.str_) if array.dtype == object else array


def to_npz(arrays: Mapping[str, Array]) -> bytes:
    """Arrays by name as .npz without pickle, compressed. `from_npz` reads it."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{n: fixed_width(a) for n, a in arrays.items()})  # type: ignore[arg-type]
    return buffer.getvalue()


def from_npz(content: bytes) -> dict[str, Array]:
    """Arrays by name; `<U` as `texts`. Raises whatever numpy does where the file is damaged."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        read = {name: arrays[name] for name in arrays.files}
    return {n: texts(a.tolist()) if a.dtype.kind == "U" else a for n, a in read.items()}


def title_of(framework: str) -> str:
    """A framework's name as people know it; formats of files from elsewhere stay as they are."""
    return TITLES.get(framework, framework)
