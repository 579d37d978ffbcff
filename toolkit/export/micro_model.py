"""What a microcontroller is given: a .tflite file without what it does not need, and its ends.

The flatbuffer is written anew: every weight at a multiple of 16 bytes, as optimised kernels want it
and converters do not leave it, without the manifest behind it and without tensors' names.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.errors import EdgeError
from edge.manifest import Manifest
from edge.manifest_tflite import is_tflite, read_from_tflite
from edge.quantisation import quantise
from edge.tensor import Tensor
from toolkit.errors import ConversionError, DataError
from toolkit.export.quantise_flatbuffer import pack
from toolkit.recipe import Array

ALIGNMENT = 16
"""Bytes; that of the arena too."""

_SCHEMA = 3
_DTYPES = ("float32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool")


@dataclass(frozen=True)
class End:
    """An input or output as the file itself has it.

    Attributes:
        shape: with the batch; an axis of any size counts as 1.
        dtype: of what is stored, such as 'int8'.
        quantization: (scale, zero point) of integers that stand for float32, or None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: tuple[float, int] | None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bytes(self) -> int:
        """Size in memory."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class MicroModel:
    """A model for TensorFlow Lite Micro.

    Attributes:
        content: the flatbuffer, each of its weights aligned.
        operators: operator, or code of a custom one -> name of a tensor that it makes.
        inputs: in the file's order.
        outputs: in the file's order.
        manifest: that the file carried, or None.
    """

    content: bytes
    operators: Mapping[str, str]
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    manifest: Manifest | None

    @property
    def batch(self) -> int:
        """Samples a call: the first axis of the first input."""
        return self.inputs[0].shape[0] if self.inputs[0].shape else 1

    def raw(self, inputs: Mapping[str, Array]) -> list[list[Array]]:
        """What each call is given, input by input in the file's order.

        Args:
            inputs: by name, each [n, ...] after preprocessing: float32 where integers of the file
                stand for it, or those integers.

        Raises:
            DataError: an input is missing, or too few samples or other shapes.
        """
        columns = [self._column(end, inputs) for end in self.inputs]
        return [list(row) for row in zip(*columns, strict=True)]

    def _column(self, end: End, inputs: Mapping[str, Array]) -> list[Array]:
        if end.name not in inputs:
            raise DataError(f"no samples for the input {end.name!r}; there is {sorted(inputs)}")
        values = np.asarray(inputs[end.name])
        calls = len(values) // self.batch
        if not calls:
            raise DataError(f"input {end.name!r}: the file takes {self.batch} samples at a time")
        values = values[: calls * self.batch]
        if values.dtype != end.dtype and end.quantization is not None:
            tensor = Tensor(end.name, end.shape, "float32", end.quantization)
            try:
                values = quantise(values.astype(np.float32), tensor, end.dtype)
            except EdgeError as error:
                raise DataError(str(error)) from error
        if values.size != calls * end.size:
            raise DataError(
                f"input {end.name!r}: the file takes {list(end.shape)}, the samples are "
                f"{list(values.shape[1:])} each"
            )
        return list(values.astype(end.dtype).reshape(calls, *end.shape))


def read_model(content: bytes) -> MicroModel:
    """Read a .tflite file, with or without a manifest behind it.

    Raises:
        ConversionError: it is no such file, is damaged, or has ends of types that no array of C++
            can hold.
    """
    from ai_edge_litert import schema_py_generated as schema

    if not is_tflite(content):
        raise ConversionError("not a TFLite model: the bytes 4 to 8 are not TFL3")
    try:
        manifest = read_from_tflite(content)
        tree = schema.ModelT.InitFromPackedBuf(content, 0)
        graph = tree.subgraphs[0]
        signature = next((s for s in tree.signatureDefs or () if s.subgraphIndex == 0), None)
        inputs = _ends(graph, graph.inputs, signature.inputs if signature else ())
        outputs = _ends(graph, graph.outputs, signature.outputs if signature else ())
        operators = _operators(tree, schema)
        return MicroModel(_packed(tree), operators, inputs, outputs, manifest)
    except (EdgeError, struct.error, IndexError, TypeError, ValueError) as error:
        raise ConversionError(f"the TFLite model is damaged ({error}); export it again") from error


def _ends(graph: Any, indices: Sequence[int], entries: Sequence[Any]) -> tuple[End, ...]:
    named = {entry.tensorIndex: _text(entry.name) for entry in entries or ()}
    return tuple(_end(graph.tensors[index], named.get(index)) for index in indices)


def _end(tensor: Any, name: str | None) -> End:
    name = name or _text(tensor.name)
    dtype = _dtype(tensor.type)
    if dtype not in _DTYPES:
        raise ConversionError(f"{name!r} is of the type {dtype}; export with --precision int8")
    shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
    quantization = None
    found = tensor.quantization
    if dtype != "float32" and found is not None and found.scale is not None and len(found.scale):
        quantization = (float(np.float32(found.scale[0])), int(found.zeroPoint[0]))
    return End(name, shape, dtype, quantization)


def _dtype(number: int) -> str:
    from ai_edge_litert import schema_py_generated as schema

    names = {value: key for key, value in vars(schema.TensorType).items() if isinstance(value, int)}
    return str(names.get(number, f"number {number}")).lower()


def _operators(tree: Any, schema: Any) -> dict[str, str]:
    if tree.version != _SCHEMA:
        raise ConversionError(f"TFLite schema {tree.version} is not {_SCHEMA}; export it again")
    names = {
        value: key for key, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
    }
    operators: dict[str, str] = {}
    for graph in tree.subgraphs:
        for operator in graph.operators or ():
            code = tree.operatorCodes[operator.opcodeIndex]
            number = max(code.builtinCode, code.deprecatedBuiltinCode)
            name = names.get(number, f"operator {number}")
            if name == "CUSTOM":
                name = _text(code.customCode)
            made = [graph.tensors[index].name for index in operator.outputs if index >= 0]
            operators.setdefault(name, _text(made[0]) if made else "")
    return operators


def _packed(tree: Any) -> bytes:
    tree.signatureDefs = None
    for graph in tree.subgraphs:
        for tensor in graph.tensors:
            tensor.name = None
    return pack(tree, ALIGNMENT)


def _text(name: bytes | str | None) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name or ""
