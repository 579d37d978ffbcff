"""Open a model file, or a model of a bundle, with the runtime that its content asks for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edge.errors import BrokenRuntimeError, EdgeError, InputError, ModelError
from edge.manifest_tflite import is_tflite
from edge.model import Model

if TYPE_CHECKING:
    from edge.bundle import Bundle
    from edge.bundle_entries import ModelEntry

_BUNDLE = b"EDGEBNDL"

# Files that people take for an exported model, by their first bytes.
_OTHERS = (
    (_BUNDLE, "a bundle, which is opened with the keys that are trusted"),
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
    source = os.fspath(path)
    head = _head(source)
    for magic, kind in _OTHERS:
        if head.startswith(magic):
            raise ModelError(
                f"{source}: {kind}, not a .tflite or .onnx file\nexport the model first"
            )
    return _open(source, head, threads)


def load_from_bundle(bundle: Bundle, entry: ModelEntry, source: str, *, threads: int = 1) -> Model:
    """Open one model of a bundle, from the bundle's bytes; nothing is written to disk.

    source: the bundle's path, for messages. threads and what is raised: see `load`.
    """
    content = bundle.member(entry.member)
    model = _open(f"{source}: {entry.member}", content[:8], threads, content, entry)
    model.member = lambda name: bytes(bundle.member(name))
    return model


def load_preferred(
    bundle: Bundle, source: str, *, threads: int = 1, name: str = "", precision: str = ""
) -> Model:
    """Open the first model of a bundle whose runtime is installed.

    name, precision: leave out the models that are called otherwise or have another precision.

    Raises InputError if no model is left, BrokenRuntimeError if no runtime is installed for those
    that are, and as `load` does.
    """
    missing: BrokenRuntimeError | None = None
    for entry in choose(bundle, name=name, precision=precision):
        try:
            return load_from_bundle(bundle, entry, source, threads=threads)
        except BrokenRuntimeError as error:  # noqa: PERF203 - the next one may be installed
            missing = missing or error
    assert missing is not None
    raise missing


def choose(bundle: Bundle, *, name: str = "", precision: str = "") -> list[ModelEntry]:
    """The models of a bundle with this member's name and this precision, where they are given.

    Raises InputError that lists the models if there is none.
    """
    chosen = [
        entry
        for entry in bundle.models
        if name in ("", entry.member) and precision in ("", entry.precision)
    ]
    if not chosen:
        wanted = " ".join(word for word in (name, precision) if word)
        there = "\n".join(f"  {entry.member}  {entry.precision}" for entry in bundle.models)
        raise InputError(f"the bundle holds no model {wanted}; it holds:\n{there}")
    return chosen


def is_bundle(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a bundle does; raises ModelError if it cannot be read."""
    return _head(os.fspath(path)) == _BUNDLE


def _open(
    source: str,
    head: bytes | memoryview,
    threads: int,
    content: memoryview | None = None,
    entry: ModelEntry | None = None,
) -> Model:
    if threads < 1:
        raise ValueError(f"threads is {threads}; it must be above 0")
    manifest = entry.manifest if entry else None
    try:
        if is_tflite(bytes(head)):
            from edge.runtime_litert import LiteRtModel

            return LiteRtModel(source, threads, content, manifest)
        from edge.runtime_onnx import OnnxModel

        return OnnxModel(source, threads, content, manifest)
    except EdgeError:
        raise
    except Exception as error:  # a damaged file can make a runtime raise anything, anywhere
        raise ModelError(f"{source}: damaged ({error})\ncopy or export it again") from error


def _head(path: str) -> bytes:
    """The first 8 bytes; raises ModelError if there are none."""
    if os.path.isdir(path):  # noqa: PTH112 - pathlib costs a cold start 3 ms
        raise ModelError(f"{path}: a folder, not a .tflite or .onnx file\nexport the model first")
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(8)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}\ncheck the path") from error
    if not head:
        raise ModelError(f"{path}: the file is empty\ncopy or export it again")
    return head
