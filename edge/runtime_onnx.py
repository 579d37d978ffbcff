"""Run .onnx files with ONNX Runtime (package onnxruntime) on the CPU."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge.errors import BrokenRuntimeError, ModelError
from edge.manifest import ONNX_KEY, Manifest
from edge.model import Model
from edge.tensor import Tensor

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    **{
        f"tensor({name})": name
        for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
    },
}
"""ONNX Runtime's name of a type -> numpy's."""


class OnnxModel(Model):
    """An .onnx file in an ONNX Runtime session. Raises as `edge.runtime.load` does.

    content: the bytes of the file where it is a member of a bundle. Otherwise the file is opened by
    its path, because weights may lie in a second file next to it.
    manifest: the bundle's, which is taken unread; otherwise the file's.
    """

    def __init__(
        self,
        source: str,
        threads: int,
        content: memoryview | None = None,
        manifest: Manifest | None = None,
    ) -> None:
        self._session, runtime = _open(source, threads, content)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        super().__init__(
            source,
            runtime,
            [_tensor(source, argument) for argument in inputs],
            [_tensor(source, argument) for argument in outputs],
            manifest or _manifest(source, self._session),
        )
        self._file_inputs = [inputs[i].name for i in self._input_order]
        self._file_outputs = [outputs[i].name for i in self._output_order]

    def _run(self, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        outputs: list[np.ndarray] = self._session.run(
            self._file_outputs, dict(zip(self._file_inputs, inputs))
        )
        return outputs


def _open(source: str, threads: int, content: memoryview | None) -> tuple[Any, str]:
    """A session, and the runtime's name and version."""
    try:
        import onnxruntime
    except (ImportError, OSError) as error:  # OSError: a shared library does not load
        raise BrokenRuntimeError(
            f"{source}: no runtime for .onnx files: {error}\npip install onnxruntime"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    runtime = f"onnxruntime {onnxruntime.__version__}"
    try:
        # It takes bytes only. The fallback would try the same provider a second time and say so on
        # stdout, where the answers go.
        session = onnxruntime.InferenceSession(
            source if content is None else bytes(content),
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=False,
        )
    except Exception as error:  # its exceptions share no base but Exception
        raise ModelError(f"{source}: {_why_not_opened(runtime, error)}") from error
    session._model_bytes = None  # kept for a change of providers; the session has a copy of its own
    return session, runtime


def _why_not_opened(runtime: str, error: Exception) -> str:
    # "[ONNXRuntimeError] : 1 : FAIL : Load model from PATH failed:SOURCE FUNCTION(...) REASON"
    reason = re.sub(r"/onnxruntime_src/.*?\) (?=[A-Z])", "", str(error).split(" failed:", 1)[-1])
    reason = reason.strip()
    if type(error).__name__ in ("InvalidProtobuf", "InvalidArgument"):
        return f"no .tflite or .onnx model, or damaged ({reason})\ncopy or export it again"
    if "not a registered function/op" in reason:
        return f"needs an operation that {runtime} lacks: {reason}\nexport it with standard ONNX"
    if "IR version" in reason or "opset" in reason.lower():
        reason = reason.rstrip(".").rsplit(". ", 1)[-1]  # the sentence that gives the limit
        return f"too new for {runtime}: {reason}\nupdate onnxruntime, or export for an older opset"
    return f"{runtime} cannot open the model: {reason}\nexport it again"


def _manifest(source: str, session: Any) -> Manifest | None:
    text = session.get_modelmeta().custom_metadata_map.get(ONNX_KEY)
    try:
        return None if text is None else Manifest.from_json(text)
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error


def _tensor(source: str, argument: Any) -> Tensor:
    if argument.type not in _DTYPES:
        raise ModelError(
            f"{source}: {argument.name} is of the type {argument.type}, which edge cannot feed"
        )
    # A free axis has a name, or nothing at all, in place of its size.
    sizes = tuple(size if isinstance(size, int) else None for size in argument.shape)
    return Tensor(argument.name, sizes, _DTYPES[argument.type])
