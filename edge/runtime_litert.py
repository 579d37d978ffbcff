"""Run .tflite files with LiteRT (package ai-edge-litert), or with its forerunner tflite-runtime.

Names: a converter may call a tensor `serving_default_x:0` where the file's signature calls it `x`.
The signature's names are used if there is one. A signature lists its names by alphabet, not in the
order of the model's arguments; natural order (args_2 before args_10) gives that order back where
the names are numbered. The manifest's names, if any, replace them (see `edge.tensor.align`).
"""

from __future__ import annotations

import importlib
import mmap
import os
import re
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from edge.errors import BrokenRuntimeError, ModelError
from edge.manifest import Manifest
from edge.manifest_tflite import read_from_tflite
from edge.model import Model
from edge.tensor import DTYPES, Tensor, natural_order

_RUNTIMES = (("ai_edge_litert", "LiteRT"), ("tflite_runtime", "TensorFlow Lite"))


class LiteRtModel(Model):
    """A .tflite file in a LiteRT interpreter. Raises as `edge.runtime.load` does.

    content: the bytes of the file where it is a member of a bundle; otherwise the file is mapped
    into memory. Replace it by renaming another over it, never by writing into it.
    manifest: the bundle's, which is taken unread; otherwise the file's.
    """

    def __init__(
        self,
        source: str,
        threads: int,
        content: memoryview | None = None,
        manifest: Manifest | None = None,
    ) -> None:
        if content is None:
            with open(source, "rb") as file:  # noqa: PTH123 - pathlib costs a cold start 3 ms
                manifest = _manifest(source, file.fileno())
                self._interpreter, runtime = _open(source, threads, _same_file(source, file))
        else:
            self._interpreter, runtime = _open(source, threads, bytes(content))
        inputs, outputs = _named(self._interpreter)
        super().__init__(
            source,
            runtime,
            [_tensor(source, name, detail) for name, detail in inputs],
            [_tensor(source, name, detail) for name, detail in outputs],
            manifest,
        )
        self._input_indices = [inputs[i][1]["index"] for i in self._input_order]
        self._output_indices = [outputs[i][1]["index"] for i in self._output_order]
        self._shapes = [tuple(inputs[i][1]["shape"]) for i in self._input_order]

    def _run(self, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        shapes = [array.shape for array in inputs]
        if shapes != self._shapes:
            self._resize(shapes)
        for index, array in zip(self._input_indices, inputs):
            self._interpreter.set_tensor(index, array)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._output_indices]

    def _resize(self, shapes: list[tuple[int, ...]]) -> None:
        """Plan the memory anew, which costs far more than a run: done only when a shape changes."""
        self._shapes = []  # should this fail, the next run must resize again
        for index, shape in zip(self._input_indices, shapes):
            self._interpreter.resize_tensor_input(index, list(shape), strict=False)
        self._interpreter.allocate_tensors()
        self._shapes = shapes


def _manifest(source: str, descriptor: int) -> Manifest | None:
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as data:
        try:
            return read_from_tflite(data)  # type: ignore[arg-type]
        except ModelError as error:
            raise ModelError(f"{source}: {error}") from error


def _same_file(source: str, file: BinaryIO) -> str:
    """A path to the open file: model and manifest are then surely of the same one."""
    path = f"/proc/self/fd/{file.fileno()}"
    return path if os.path.exists(path) else source  # noqa: PTH110


def _open(source: str, threads: int, model: str | bytes) -> tuple[Any, str]:
    """An interpreter with its memory planned, and the runtime's name and version.

    model: a path, or the content, which the runtime takes as bytes only.
    """
    interpreter_class, runtime = _find_runtime(source)
    where = "model_path" if isinstance(model, str) else "model_content"
    try:
        interpreter = interpreter_class(**{where: model}, num_threads=threads)
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"{source}: {runtime} cannot read the file: {error}\ncopy or export it again"
        ) from error
    try:
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{source}: {_why_not_prepared(runtime, str(error))}") from error
    return interpreter, runtime


def _find_runtime(source: str) -> tuple[Any, str]:
    problems = []
    for package, title in _RUNTIMES:
        try:
            module = importlib.import_module(f"{package}.interpreter")
        except (ImportError, OSError) as error:  # OSError: a shared library does not load
            problems.append(error)
            continue
        version = getattr(importlib.import_module(package), "__version__", "unknown")
        return module.Interpreter, f"{title} {version}"
    raise BrokenRuntimeError(
        f"{source}: no runtime for .tflite files: {problems[0]}\npip install ai-edge-litert"
    ) from problems[0]


def _why_not_prepared(runtime: str, message: str) -> str:
    if "Select TensorFlow op" in message or "Flex" in message:
        kind = "TensorFlow operations"
    elif "custom op" in message.lower():
        kind = "custom operations"
    else:
        return f"{runtime} cannot prepare the model: {message}\nexport it again"
    names = re.findall(r"Node number \d+ \((.+?)\)", message)  # the last text in the message
    return (
        f"needs {kind} that {runtime} lacks: {names[-1] if names else message}\n"
        "export the model again with built-in operations only"
    )


def _named(interpreter: Any) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """Inputs and outputs as (name, detail), in the order that stands for the model's arguments."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    for key in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(key)
        signature_in, signature_out = runner.get_input_details(), runner.get_output_details()
        # A signature may belong to another subgraph than the one that invoke() runs.
        if _ids(signature_in.values()) == _ids(inputs) and _ids(signature_out.values()) == _ids(
            outputs
        ):
            return _sorted(signature_in), _sorted(signature_out)
    return [(d["name"], d) for d in inputs], [(d["name"], d) for d in outputs]


def _ids(details: Any) -> set[tuple[int, str]]:
    return {(detail["index"], detail["name"]) for detail in details}


def _sorted(details: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(details.items(), key=lambda item: natural_order(item[0]))


def _tensor(source: str, name: str, detail: Any) -> Tensor:
    dtype = np.dtype(detail["dtype"]).name
    if dtype not in DTYPES:
        raise ModelError(f"{source}: {name} is of the type {dtype}, which edge cannot feed")
    sizes = detail["shape_signature"]
    if len(sizes) != len(detail["shape"]):  # empty in old files whose shapes are all fixed
        sizes = detail["shape"]
    return Tensor(name, tuple(None if size < 0 else int(size) for size in sizes), dtype)
