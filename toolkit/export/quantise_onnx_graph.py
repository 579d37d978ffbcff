"""Edits of an ONNX graph around its quantisation."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from toolkit.recipe import Array

_WORTH_STORING = 256  # elements; a smaller weight costs more in operators than it saves

STORED = {
    "Conv": {1: 0},
    "ConvTranspose": {1: 1},
    "Gather": {0: 0},
    "GRU": {1: 1, 2: 1},
    "LSTM": {1: 1, 2: 1},
}
"""Operators whose weights can be stored in int8: the axis of channels by the weight's position."""


def real_inputs(graph: Any) -> list[Any]:
    """Inputs without the weights that old files list among them."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def shape(value: Any) -> list[int | None]:
    """Sizes of a graph's input; None where free."""
    sizes = value.type.tensor_type.shape.dim
    return [size.dim_value if size.HasField("dim_value") else None for size in sizes]


def name_nodes(graph: Any) -> None:
    """Give nodes without a name of their own one, so that they can be spoken of."""
    taken: set[str] = set()
    for position, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{position}_{node.output[0]}"
        taken.add(node.name)


def strip(graph: Any) -> None:
    """Remove what no runtime reads and what may be larger than the weights.

    Shapes that were inferred, stack traces that torch writes to each node, and the names of
    conversions between floats and integers.
    """
    del graph.value_info[:], graph.metadata_props[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            node.name = ""


def store_weights_as_int8(graph: Any, kinds: Iterable[str]) -> None:
    """Store the float weights of these operators as int8, a scale a channel.

    Cast and Mul restore them. A runtime computes both once, when it loads the file, where
    DequantizeLinear would run at every prediction.
    """
    from onnx import numpy_helper

    wanted = {
        node.input[position]: axis
        for node in graph.node
        if node.op_type in kinds
        for position, axis in STORED[node.op_type].items()
        if position < len(node.input)
    }
    added = []
    for tensor in list(graph.initializer):
        if tensor.name not in wanted:
            continue
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= _WORTH_STORING:
            graph.initializer.remove(tensor)
            added += _restored(graph, tensor.name, values, wanted[tensor.name])
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend(added + rest)


def _restored(graph: Any, name: str, values: Array, axis: int) -> list[Any]:
    """Put int8 values and scales into the graph; the nodes that make floats called `name`."""
    from onnx import TensorProto, helper, numpy_helper

    others = tuple(index for index in range(values.ndim) if index != axis)
    scales = np.abs(values).max(axis=others, keepdims=True) / 127
    scales[scales == 0] = 1
    integers = np.rint(values / scales).astype(np.int8)
    whole, scale, wide = f"{name}_int8", f"{name}_scale", f"{name}_wide"
    graph.initializer.append(numpy_helper.from_array(integers, whole))
    graph.initializer.append(numpy_helper.from_array(scales.astype(np.float32), scale))
    return [
        helper.make_node("Cast", [whole], [wide], name=f"{name}_cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", [wide, scale], [name], name=f"{name}_restore"),
    ]


def take_integers(graph: Any) -> dict[str, tuple[float, int]]:
    """Let integers in and out where the first and last nodes convert them; scales by name.

    What is used as a float elsewhere too stays a float.
    """
    from onnx import numpy_helper

    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    scales = {}
    for value in real_inputs(graph):
        users = [node for node in graph.node if value.name in node.input]
        ends = [node for node in users if node.op_type == "QuantizeLinear"]
        if len(ends) == 1 and all(node.op_type in ("QuantizeLinear", "Shape") for node in users):
            scales[value.name] = _integer_end(value, ends[0], weights)
            _rename(graph, ends[0].output[0], value.name)
            graph.node.remove(ends[0])
    uses = Counter(name for node in graph.node for name in node.input)
    for value in graph.output:
        (maker,) = (node for node in graph.node if value.name in node.output)
        if maker.op_type == "DequantizeLinear" and not uses[value.name]:
            scales[value.name] = _integer_end(value, maker, weights)
            inner = maker.input[0]
            graph.node.remove(maker)
            _rename(graph, inner, value.name)
    return scales


def _integer_end(value: Any, node: Any, weights: dict[str, Array]) -> tuple[float, int]:
    """Give an input or output the integers' type; their scale and zero point."""
    from onnx import helper

    scale, zero = weights[node.input[1]], weights[node.input[2]]
    value.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(zero.dtype)
    return float(scale), int(zero)


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
