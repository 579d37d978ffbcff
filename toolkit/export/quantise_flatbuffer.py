"""A TFLite file as a tree of tables, and edits of it that the quantiser leaves undone.

Weights in half precision, and what AI Edge Quantizer makes of the graph put right. Knows nothing
of recipes or calibration.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from edge.errors import ModelError
from edge.manifest import MEMBER, Manifest
from edge.manifest_tflite import append_to_tflite, is_tflite
from toolkit.recipe import Array

_WORTH_HALVING = 256  # elements; a smaller constant costs more as an operator than it saves
_HALF_MAX = 65504.0
_WHOLE = {"SPLIT": 1, "SPLIT_V": 0, "UNPACK": 0}  # which input an operator takes apart


def parse(content: bytes) -> Any:
    """The file as a tree (`schema.ModelT`); raises ModelError if it is none."""
    from ai_edge_litert import schema_py_generated as schema

    if not is_tflite(content):
        raise ModelError("not a TFLite model: the bytes 4 to 8 are not TFL3")
    tree = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in tree.buffers or []:
        if buffer.offset > 1:  # kept behind the tree, as AI Edge Quantizer does with large ones
            data = content[buffer.offset : buffer.offset + buffer.size]
            buffer.data = np.frombuffer(data, np.uint8)
            buffer.offset = buffer.size = 0
    return tree


def pack(tree: Any, alignment: int = 1) -> bytes:
    """The tree as a file, in which equal vectors are stored once: shapes, scales, weights.

    Args:
        tree: as `parse` gives it.
        alignment: of vectors of bytes, which weights are, in bytes.
    """
    import flatbuffers

    known: dict[bytes, int] = {}

    def start(self: Any, size: int, count: int, aligned: int) -> Any:
        aligned = max(aligned, alignment) if size == 1 else aligned
        return flatbuffers.Builder.StartVector(self, size, count, aligned)

    def create(self: Any, values: Array) -> int:
        key = hashlib.sha256(values.dtype.str.encode() + values.tobytes()).digest()
        if key not in known:
            known[key] = flatbuffers.Builder.CreateNumpyVector(self, values)
        return known[key]

    methods = {"StartVector": start, "CreateNumpyVector": create}
    builder = type("Sharing", (flatbuffers.Builder,), methods)(1 << 20)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def with_archive(model: bytes, source: bytes, manifest: Manifest | None) -> bytes:
    """The model with the manifest and the files that the archive behind `source` holds."""
    if manifest is not None:
        model = append_to_tflite(model, manifest)
    if not zipfile.is_zipfile(io.BytesIO(source)):
        return model
    buffer = io.BytesIO(model)
    with zipfile.ZipFile(io.BytesIO(source)) as old, zipfile.ZipFile(buffer, "a") as new:
        for info in old.infolist():
            if info.filename != MEMBER:
                new.writestr(info, old.read(info))
    return buffer.getvalue()


def text(name: bytes | str) -> str:
    """A name of the tree, which holds bytes where it was read."""
    return name.decode(errors="replace") if isinstance(name, bytes) else name


def constant(tree: Any, tensor: Any) -> Array | None:
    """The values of a float32 constant, or None."""
    from ai_edge_litert import schema_py_generated as schema

    data = tree.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or data is None or len(data) == 0:
        return None
    values: Array = np.asarray(data, np.uint8).view(np.float32)
    return values


def operators(tree: Any, graph: Any) -> Iterator[tuple[str, Any]]:
    """Operators of a graph in order, each with its name, 'CONV_2D'."""
    names = _operator_names()
    for operator in graph.operators:
        code = tree.operatorCodes[operator.opcodeIndex]
        yield names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "?"), operator


def halve_weights(tree: Any) -> None:
    """Store large float constants as float16, each behind a DEQUANTIZE that runtimes fold.

    AI Edge Quantizer's own casting leaves LSTMs, embeddings and further operators as they are.
    What float16 cannot hold stays float32.
    """
    from ai_edge_litert import schema_py_generated as schema

    code = _dequantize_code(tree)
    halved: set[int] = set()
    for graph in tree.subgraphs:
        used = {index for operator in graph.operators for index in operator.inputs}
        added = []
        for index in sorted(used - {-1}):
            tensor = graph.tensors[index]
            if tensor.buffer not in halved and not _can_halve(constant(tree, tensor)):
                continue
            if tensor.buffer not in halved:
                values = constant(tree, tensor)
                assert values is not None
                tree.buffers[tensor.buffer].data = values.astype("<f2").view(np.uint8)
                halved.add(tensor.buffer)
            half = schema.TensorT()
            half.shape, half.buffer = tensor.shape, tensor.buffer
            half.type, half.name = schema.TensorType.FLOAT16, text(tensor.name) + "_half"
            graph.tensors.append(half)
            tensor.buffer = 0  # computed from now on
            operator = schema.OperatorT()
            operator.opcodeIndex = code
            operator.inputs, operator.outputs = [len(graph.tensors) - 1], [index]
            added.append(operator)
        graph.operators = added + list(graph.operators)


def _can_halve(values: Array | None) -> bool:
    return (
        values is not None
        and values.size >= _WORTH_HALVING
        and bool(np.abs(values).max() <= _HALF_MAX)
    )


def hide_used_outputs(tree: Any, signature: Any) -> list[tuple[int, str, int, str]]:
    """Take outputs that the model itself uses further out of its list of outputs.

    AI Edge Quantizer gives such a tensor one type for both uses, and makes files that do not run.

    Returns:
        Place and name of each tensor, place and name of its entry in the signature.
    """
    graph = tree.subgraphs[signature.subgraphIndex]
    used = {int(index) for operator in graph.operators for index in operator.inputs}
    outputs = [int(index) for index in graph.outputs]
    hidden = []
    for place, entry in enumerate(signature.outputs):
        if entry.tensorIndex in used and entry.tensorIndex in outputs:
            name = text(graph.tensors[entry.tensorIndex].name)
            hidden.append((outputs.index(entry.tensorIndex), name, place, text(entry.name)))
    graph.outputs = [index for index in outputs if index not in used]
    signature.outputs = [e for e in signature.outputs if e.tensorIndex not in used]
    return hidden


def show_outputs(tree: Any, hidden: list[tuple[int, str, int, str]], *, as_float: bool) -> None:
    """Undo `hide_used_outputs`; integers are turned into floats if wanted."""
    from ai_edge_litert import schema_py_generated as schema

    (signature,) = tree.signatureDefs
    graph = tree.subgraphs[signature.subgraphIndex]
    indices = {text(tensor.name): index for index, tensor in enumerate(graph.tensors)}
    graph.outputs = list(graph.outputs)
    for place, name, place_in_signature, name_in_signature in sorted(hidden):
        index, inner = indices[name], graph.tensors[indices[name]]
        if as_float and inner.type != schema.TensorType.FLOAT32:
            output, operator = schema.TensorT(), schema.OperatorT()
            output.type, output.name = schema.TensorType.FLOAT32, f"{name}_dequant"
            graph.tensors.append(output)
            operator.opcodeIndex = _dequantize_code(tree)
            operator.inputs, operator.outputs = [index], [len(graph.tensors) - 1]
            graph.operators.append(operator)
            _take_over(output, inner)
            index = len(graph.tensors) - 1
        graph.outputs.insert(place, index)
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name_in_signature, index
        signature.outputs.insert(place_in_signature, entry)


def tidy(tree: Any) -> None:
    """Put right what AI Edge Quantizer leaves: names and free sizes of outputs, lost copies.

    An output that is dequantised gets the name and the free batch size of the model's own output;
    SHAPE reads integers as well as floats, so it needs no dequantised copy; parts that nobody reads
    are quantised like the whole they are split from.
    """
    for graph in tree.subgraphs:
        kinds = {id(operator): name for name, operator in operators(tree, graph)}
        source = {
            int(operator.outputs[0]): operator
            for operator in graph.operators
            if kinds[id(operator)] == "DEQUANTIZE"
        }
        for operator in graph.operators:
            if kinds[id(operator)] == "SHAPE" and int(operator.inputs[0]) in source:
                operator.inputs = source[int(operator.inputs[0])].inputs
        for index in graph.outputs:
            if int(index) in source:
                inner = graph.tensors[source[int(index)].inputs[0]]
                _take_over(graph.tensors[index], inner)
        read = {int(index) for operator in graph.operators for index in operator.inputs}
        read |= {int(index) for index in graph.outputs}
        for operator in graph.operators:
            if (place := _WHOLE.get(kinds[id(operator)])) is not None:
                whole = graph.tensors[operator.inputs[place]]
                for part in (graph.tensors[i] for i in operator.outputs if int(i) not in read):
                    part.type, part.quantization = whole.type, whole.quantization
        graph.operators = [
            operator
            for operator in graph.operators
            if kinds[id(operator)] != "DEQUANTIZE" or int(operator.outputs[0]) in read
        ]


def _take_over(output: Any, inner: Any) -> None:
    name = text(inner.name)
    if text(output.name) != f"{name}_dequant":
        return
    output.name, inner.name = name, f"{name}_quantized"
    output.shape, output.shapeSignature = inner.shape, inner.shapeSignature


def _dequantize_code(tree: Any) -> int:
    """The index of DEQUANTIZE in the table of operators, where it is put if it is missing."""
    from ai_edge_litert import schema_py_generated as schema

    number = schema.BuiltinOperator.DEQUANTIZE
    for index, code in enumerate(tree.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == number:
            code.version = max(code.version, 3)  # 3 reads float16
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = number
    code.version = 3
    tree.operatorCodes.append(code)
    return len(tree.operatorCodes) - 1


def _operator_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    kinds = vars(schema.BuiltinOperator)
    return {number: name for name, number in kinds.items() if isinstance(number, int)}
