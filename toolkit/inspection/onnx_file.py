"""An .onnx file as a graph, its shapes inferred with free axes taken as 1."""

from collections.abc import Iterable, Mapping
from typing import Any

from edge.manifest import ONNX_KEY, Manifest
from toolkit.errors import UsageError
from toolkit.inspection.contents import Contents
from toolkit.inspection.graph import Graph, Node, Value
from toolkit.inspection.onnx_macs import macs
from toolkit.inspection.report import Port
from toolkit.runtimes import least_onnxruntime

# Operator -> positions of the inputs that say how integers stand for numbers.
_SCALES = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
}
_NO_PARAMETERS = ("int64", "bool", "string")
_STANDARD = ("", "ai.onnx")


def read(content: bytes) -> Contents:
    """Read a file; raises anything if it is damaged.

    Raises:
        UsageError: its weights lie in a second file.
    """
    import onnx
    from onnx import inliner

    model = onnx.load_model_from_string(content)
    _refuse_external(onnx, model)
    onnx.checker.check_model(model)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    text = properties.get(ONNX_KEY)
    if model.functions:
        model = inliner.inline_local_functions(model)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [info for info in model.graph.input if info.name not in weights]
    pairs = _quantisation(onnx, model.graph)
    ports = [
        tuple(_port(onnx, info, pairs) for info in infos) for infos in (inputs, model.graph.output)
    ]
    _fix_free_axes(model.graph)
    # Without data propagation a shape that is computed from shapes would stay unknown.
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    graph = _Reader(onnx).graph(inferred.graph, {})
    manifest = None if text is None else Manifest.from_json(text)
    return Contents("onnx", graph, ports[0], ports[1], _needs(model), manifest)


def _refuse_external(onnx: Any, model: Any) -> None:
    where = {
        entry.value
        for tensor in model.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    if where:
        raise UsageError(
            f"its weights lie in a second file, {sorted(where)[0]}; "
            "export it again with the weights inside"
        )


def _needs(model: Any) -> dict[str, int | str]:
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    opset = next((opsets[domain] for domain in _STANDARD if domain in opsets), 1)
    needs: dict[str, int | str] = {"opset": opset, "ir_version": model.ir_version}
    needs["onnxruntime"] = least_onnxruntime(opset, model.ir_version)
    others = {f"opset {d}": version for d, version in opsets.items() if d not in _STANDARD}
    return needs | others


def _fix_free_axes(graph: Any) -> None:
    """Free axes of inputs become 1; what the file says of other free axes is inferred anew."""
    for info in graph.input:
        for axis in info.type.tensor_type.shape.dim:
            if not axis.HasField("dim_value"):
                axis.dim_value = 1
    for info in graph.output:
        for axis in info.type.tensor_type.shape.dim:
            axis.ClearField("dim_param")
    free = [info for info in graph.value_info if _shape(info) is None]
    for info in free:
        graph.value_info.remove(info)


def _shape(info: Any) -> tuple[int, ...] | None:
    """Sizes of a value; None where one is unknown."""
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    sizes = [axis.dim_value if axis.HasField("dim_value") else None for axis in tensor.shape.dim]
    known = tuple(size for size in sizes if size is not None)
    return known if len(known) == len(sizes) else None


def _dtype(onnx: Any, number: int) -> str:
    name = str(onnx.TensorProto.DataType.Name(number)).lower()
    return {"float": "float32", "double": "float64", "undefined": ""}.get(name, name)


def _port(onnx: Any, info: Any, pairs: Mapping[str, tuple[float, int]]) -> Port:
    tensor = info.type.tensor_type
    sizes = tuple(
        axis.dim_value if axis.HasField("dim_value") else None for axis in tensor.shape.dim
    )
    return Port(info.name, _dtype(onnx, tensor.elem_type), sizes, pairs.get(info.name))


def _quantisation(onnx: Any, graph: Any) -> dict[str, tuple[float, int]]:
    """(scale, zero point) of values that are quantised as a whole, by name."""
    small = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if not tensor.dims or list(tensor.dims) == [1]
    }
    pairs = {}
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        value = node.output[0] if node.op_type == "QuantizeLinear" else node.input[0]
        scale, zero = (*node.input[1:], "")[:2]
        if scale in small and (not zero or zero in small):
            zero_point = int(small[zero].reshape(-1)[0]) if zero else 0
            pairs[value] = (float(small[scale].reshape(-1)[0]), zero_point)
    return pairs


class _Reader:
    """Turns a graph and the bodies in it into ours."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self._count = 0

    def graph(self, graph: Any, around: Mapping[str, Value]) -> Graph:
        """A graph; `around` are the values that a body may read from outside."""
        self._count += 1
        values = self._values(graph)
        visible = {**around, **values}
        working = [node for node in graph.node if node.op_type != "Constant"]
        nodes = tuple(self._node(node, visible) for node in working)
        constant = {name for name, value in values.items() if value.constant}
        inputs = tuple(info.name for info in graph.input if info.name not in constant)
        return Graph(values, nodes, inputs, tuple(info.name for info in graph.output))

    def _values(self, graph: Any) -> dict[str, Value]:
        fused, scales, quantised = _fused(graph), _scales(graph), _quantised(graph)
        values = {}
        for info in (*graph.input, *graph.value_info, *graph.output):
            dtype = _dtype(self._onnx, info.type.tensor_type.elem_type)
            values[info.name] = Value(info.name, dtype, _shape(info), fused=info.name in fused)
        for node in graph.node:
            for name in filter(None, node.output):
                values.setdefault(name, Value(name, "", None, fused=name in fused))
        for name, dtype, shape in self._constants(graph):
            learned = dtype not in _NO_PARAMETERS and name not in scales
            learned = learned and (dtype != "int32" or name in quantised)
            storage = f"{self._count}.{name}"
            values[name] = Value(name, dtype, shape, True, learned, storage=storage)
        return values

    def _constants(self, graph: Any) -> Iterable[tuple[str, str, tuple[int, ...]]]:
        """Name, dtype and shape of initializers and of Constant nodes."""
        tensors = [(tensor.name, tensor) for tensor in graph.initializer]
        tensors += [(each.values.name, each.values) for each in graph.sparse_initializer]
        for node in graph.node:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value":
                        tensors.append((node.output[0], attribute.t))
                    else:  # value_int, value_floats, ...
                        yield node.output[0], *_plain(self._onnx, attribute)
        for name, tensor in tensors:
            yield name, _dtype(self._onnx, tensor.data_type), tuple(tensor.dims)

    def _node(self, node: Any, values: Mapping[str, Value]) -> Node:
        attributes = {
            attribute.name: self._onnx.helper.get_attribute_value(attribute)
            for attribute in node.attribute
        }
        bodies = [a for a in attributes.values() if isinstance(a, self._onnx.GraphProto)]
        shapes = [values[name].shape if name in values else None for name in node.input]
        output = next((values[name].shape for name in node.output if name in values), None)
        domain = "" if node.domain in _STANDARD else f"{node.domain}."
        return Node(
            f"{domain}{node.op_type}",
            tuple(node.input),
            tuple(node.output),
            macs(node.op_type, shapes, output, attributes),
            tuple(self.graph(body, values) for body in bodies),
            choice=node.op_type == "If",
        )


def _plain(onnx: Any, attribute: Any) -> tuple[str, tuple[int, ...]]:
    """Dtype and shape of a Constant node's number, text or list of them."""
    value = onnx.helper.get_attribute_value(attribute)
    shape = (len(value),) if isinstance(value, list) else ()
    kinds = {"value_int": "int64", "value_float": "float32", "value_string": "string"}
    return kinds.get(attribute.name.removesuffix("s"), ""), shape


def _scales(graph: Any) -> set[str]:
    """Constants that only say how integers stand for numbers."""
    return {
        node.input[position]
        for node in graph.node
        for position in _SCALES.get(node.op_type, ())
        if position < len(node.input)
    }


def _quantised(graph: Any) -> set[str]:
    """Values that quantised operators read; an int32 among them is a bias."""
    return {name for node in graph.node if node.op_type in _SCALES for name in node.input}


def _fused(graph: Any) -> set[str]:
    """Floats between quantised operators, which onnxruntime computes without storing them."""
    readers: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    kept = {info.name for info in graph.output}
    made = {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear"} - kept
    return made | {name for name, ops in readers.items() if set(ops) == {"QuantizeLinear"}} - kept
