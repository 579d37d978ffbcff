"""A .tflite file as a graph, by LiteRT's own schema; loads no interpreter and no TensorFlow."""

from collections.abc import Callable, Iterator
from typing import Any

from edge.manifest_tflite import read_from_tflite
from toolkit.inspection.contents import Contents
from toolkit.inspection.graph import Graph, Node, Value
from toolkit.inspection.report import Port
from toolkit.inspection.tflite_macs import macs, trips

_SPELLING = {"FLOAT8_E4M3FN": "float8e4m3fn", "FLOAT8_E5M2": "float8e5m2"}
_NO_PARAMETERS = ("int64", "bool", "string")


def read(content: bytes) -> Contents:
    """Read a file; raises anything if it is damaged."""
    from ai_edge_litert import schema_py_generated as schema

    manifest = read_from_tflite(content)
    model = schema.Model.GetRootAsModel(content, 0)
    reader = _Reader(schema, model)
    graph = reader.graph(0, ())
    main = model.Subgraphs(0)
    needs: dict[str, int | str] = {"schema": model.Version()}
    least = reader.metadata("min_runtime_version")
    if least:
        needs["min_runtime_version"] = least
    custom = sorted(name for name, builtin in reader.codes if not builtin)
    if custom:
        needs["custom_operators"] = ", ".join(custom)
    inputs, outputs = reader.signature()
    return Contents(
        format="tflite",
        graph=graph,
        inputs=tuple(reader.port(main, index, inputs) for index in _all(main.Inputs, main)),
        outputs=tuple(reader.port(main, index, outputs) for index in _all(main.Outputs, main)),
        needs=needs,
        manifest=manifest,
    )


def _all(getter: Callable[[int], Any], owner: Any) -> Iterator[Any]:
    """Every item of a vector of the schema, whose getter takes a position."""
    count = getattr(owner, f"{getter.__name__}Length")()
    return (getter(index) for index in range(count))


class _Reader:
    """Reads the parts of one model; `codes` are its operators as (name, whether builtin)."""

    def __init__(self, schema: Any, model: Any) -> None:
        self._schema, self._model = schema, model
        self._types = {number: name for name, number in vars(schema.TensorType).items()}
        names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
        self.codes: list[tuple[str, bool]] = []
        for code in _all(model.OperatorCodes, model):
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            custom = (code.CustomCode() or b"?").decode()
            builtin = names.get(number, f"BUILTIN_{number}")
            self.codes.append((custom, False) if builtin == "CUSTOM" else (builtin, True))
        # A buffer that reaches beyond the end of the file raises here.
        self._lengths = [self._length(buffer) for buffer in _all(model.Buffers, model)]

    @staticmethod
    def _length(buffer: Any) -> int:
        inside = 0 if buffer.DataIsNone() else len(buffer.DataAsNumpy())
        return int(inside or buffer.Size())

    def graph(self, index: int, callers: tuple[int, ...]) -> Graph:
        """Subgraph `index`, its bodies included; `callers` are the subgraphs around it."""
        if index in callers:
            raise ValueError(f"subgraph {index} runs itself")
        if not 0 <= index < self._model.SubgraphsLength():
            raise ValueError(f"there is no subgraph {index}")
        subgraph = self._model.Subgraphs(index)
        tensors = list(_all(subgraph.Tensors, subgraph))
        values = {
            str(number): self._value(tensor, f"{index}.{number}")
            for number, tensor in enumerate(tensors)
        }
        nodes = tuple(
            self._node(operator, values, (*callers, index))
            for operator in _all(subgraph.Operators, subgraph)
        )
        return Graph(
            values,
            nodes,
            tuple(str(number) for number in _all(subgraph.Inputs, subgraph)),
            tuple(str(number) for number in _all(subgraph.Outputs, subgraph)),
            tuple(str(n) for n, tensor in enumerate(tensors) if tensor.IsVariable()),
        )

    def _dtype(self, tensor: Any) -> str:
        name = self._types.get(tensor.Type(), "")
        return str(_SPELLING.get(name, name.lower()))

    def _value(self, tensor: Any, key: str) -> Value:
        dtype, number = self._dtype(tensor), tensor.Buffer()
        constant = self._lengths[number] > 0
        quantisation = tensor.Quantization()
        scales = 0 if quantisation is None else quantisation.ScaleLength()
        learned = dtype not in _NO_PARAMETERS and (dtype != "int32" or scales > 0)
        return Value(
            name=(tensor.Name() or b"").decode(),
            dtype=dtype,
            # 0 and -1 are sizes that only a run knows
            shape=tuple(max(1, int(size)) for size in _all(tensor.Shape, tensor)),
            constant=constant,
            parameter=constant and learned,
            storage=f"buffer {number}" if constant else key,
            number=self._number(number) if constant and dtype == "int32" else None,
        )

    def _number(self, buffer: int) -> int | None:
        data = self._model.Buffers(buffer)
        if data.DataIsNone() or data.DataLength() != 4:
            return None
        return int.from_bytes(bytes(data.DataAsNumpy()), "little", signed=True)

    def _node(self, operator: Any, values: dict[str, Value], callers: tuple[int, ...]) -> Node:
        op, _ = self.codes[operator.OpcodeIndex()]
        # -1 is an input left out
        inputs = [str(n) if n >= 0 else "" for n in _all(operator.Inputs, operator)]
        outputs = [str(n) for n in _all(operator.Outputs, operator) if n >= 0]
        for name in (*filter(None, inputs), *outputs):
            if name not in values:
                raise ValueError(f"operator {op} refers to tensor {name}, which is not there")
        arguments = [values.get(name) for name in inputs]
        first = values[outputs[0]] if outputs else None
        adjoint = op == "BATCH_MATMUL" and bool(
            self._options(operator, "BatchMatMulOptions").AdjX()
        )
        bodies = [self.graph(index, callers) for index in self._bodies(op, operator)]
        return Node(
            op,
            tuple(inputs),
            tuple(outputs),
            macs(op, arguments, first, adjoint),
            tuple(bodies),
            choice=op == "IF",
            times=trips(bodies[0], arguments) if op == "WHILE" else 1,
        )

    def _options(self, operator: Any, kind: str) -> Any:
        options = getattr(self._schema, kind)()
        table = operator.BuiltinOptions()
        if table is None:
            raise ValueError(f"an operator lacks its {kind}")
        options.Init(table.Bytes, table.Pos)
        return options

    def _bodies(self, op: str, operator: Any) -> list[int]:
        """Subgraphs that an operator runs."""
        if op == "WHILE":
            options = self._options(operator, "WhileOptions")
            return [options.CondSubgraphIndex(), options.BodySubgraphIndex()]
        if op == "IF":
            options = self._options(operator, "IfOptions")
            return [options.ThenSubgraphIndex(), options.ElseSubgraphIndex()]
        return []

    def metadata(self, name: str) -> str:
        """Text of a metadata entry, or ''."""
        for entry in _all(self._model.Metadata, self._model):
            if entry.Name() == name.encode():
                data = self._model.Buffers(entry.Buffer())
                if not data.DataIsNone():
                    text: str = bytes(data.DataAsNumpy()).rstrip(b"\0").decode()
                    return text
        return ""

    def signature(self) -> tuple[dict[int, str], dict[int, str]]:
        """Names that the main subgraph's signature gives to its inputs and outputs, by tensor."""
        for signature in _all(self._model.SignatureDefs, self._model):
            if signature.SubgraphIndex() == 0:
                inputs, outputs = (
                    {item.TensorIndex(): item.Name().decode() for item in _all(side, signature)}
                    for side in (signature.Inputs, signature.Outputs)
                )
                return inputs, outputs
        return {}, {}

    def port(self, subgraph: Any, index: int, names: dict[int, str]) -> Port:
        """An input or output of the subgraph."""
        tensor = subgraph.Tensors(index)
        shape = list(_all(tensor.Shape, tensor))
        signature = list(_all(tensor.ShapeSignature, tensor))
        sizes = signature if len(signature) == len(shape) else shape
        dtype, found, pair = self._dtype(tensor), tensor.Quantization(), None
        if dtype.startswith(("int", "uint")) and found is not None and found.ScaleLength() == 1:
            zero = int(found.ZeroPoint(0)) if found.ZeroPointLength() else 0
            pair = (float(found.Scale(0)), zero)
        name = names.get(index) or (tensor.Name() or b"").decode()
        return Port(name, dtype, tuple(None if s < 0 else int(s) for s in sizes), pair)
