"""Open a model file with the runtime that its content asks for."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import EdgeError, ModelError
from edge.manifest import is_tflite
from edge.model import Model

# Files that people take for an exported model, by their first bytes.
_OTHERS = (
    (b"PK\x03\x04", "a zip archive, such as a .keras or .pt checkpoint"),
    (b"\x89HDF", "an HDF5 file, such as Keras weights"),
    (b"\x1f\x8b", "a gzip archive"),
)


def load(path: str | os.PathLike[str], *, threads: int = 1) -> Model:
    """Open a .tflite or .onnx file; what it is, its content says and not its name.

    threads: how many the runtime may use. It is never left to the runtime, which would take every
    core and fails to start where a container allows fewer than it sees.

    Raises ModelError if the file is missing, no model, damaged or beyond the runtime, and
    BrokenRuntimeError if no runtime for it is installed.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}; it must be above 0")
    head = _head(Path(path))
    try:
        return _open(path, head, threads)
    except EdgeError:
        raise
    except Exception as error:  # a damaged file can make a runtime raise anything, anywhere
        raise ModelError(f"{path}: damaged ({error})\ncopy or export it again") from error


def _open(path: str | os.PathLike[str], head: bytes, threads: int) -> Model:
    if is_tflite(head):
        from edge.runtime_litert import LiteRtModel

        return LiteRtModel(path, threads)
    from edge.runtime_onnx import OnnxModel

    return OnnxModel(path, threads)


def _head(path: Path) -> bytes:
    """The first 8 bytes; raises ModelError for what is no model at first sight."""
    if path.is_dir():
        raise ModelError(f"{path}: a folder, not a .tflite or .onnx file\nexport the model first")
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}\ncheck the path") from error
    if not head:
        raise ModelError(f"{path}: the file is empty\ncopy or export it again")
    for magic, kind in _OTHERS:
        if head.startswith(magic):
            raise ModelError(f"{path}: {kind}, not a .tflite or .onnx file\nexport the model first")
    return head
