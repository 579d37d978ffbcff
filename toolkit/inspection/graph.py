"""A model as values and nodes, whatever its format, and what can be counted over them.

Readers make it; everything here is pure.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Shape = tuple[int, ...]

_BITS = {
    "float64": 64, "int64": 64, "uint64": 64, "complex64": 64, "complex128": 128,
    "float32": 32, "int32": 32, "uint32": 32,
    "float16": 16, "bfloat16": 16, "int16": 16, "uint16": 16,
    "int8": 8, "uint8": 8, "bool": 8,
    "int4": 4, "uint4": 4, "float4e2m1": 4, "int2": 2, "uint2": 2,
}  # fmt: skip


def byte_count(dtype: str, elements: int) -> int:
    """Bytes of so many packed elements; 0 for text, 8 bits for the many kinds of float8."""
    bits = 8 if dtype.startswith("float8") else _BITS.get(dtype, 0)
    return math.ceil(elements * bits / 8)


@dataclass(frozen=True)
class Value:
    """One tensor.

    Attributes:
        dtype: as numpy or ONNX spells it, '' where unknown.
        shape: sizes with free axes taken as 1, or None where unknown.
        constant: whether its content is in the file.
        parameter: whether it is a learned number, not a shape, an index or a scale.
        fused: whether runtimes keep it in registers: the float between (de)quantisers.
        storage: constants of one storage are kept once; the name unless told otherwise.
        number: of a constant that is one whole number, or None.
    """

    name: str
    dtype: str
    shape: Shape | None
    constant: bool = False
    parameter: bool = False
    fused: bool = False
    storage: str = ""
    number: int | None = None

    @property
    def elements(self) -> int:
        """0 where the shape is unknown."""
        return 0 if self.shape is None else math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """0 where shape or dtype is unknown."""
        return byte_count(self.dtype, self.elements)


@dataclass(frozen=True)
class Node:
    """One operator, its values by name ('' for an input left out).

    Attributes:
        macs: multiply-accumulates, 0 for operators that are not counted, None where a needed
            shape is unknown.
        inner: bodies of a loop, or branches.
        choice: whether one of the bodies runs, not all.
        times: how often the bodies run, 1 where that is unknown.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    macs: int | None = 0
    inner: "tuple[Graph, ...]" = ()
    choice: bool = False
    times: int = 1


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which they can run; values by name."""

    values: Mapping[str, Value]
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    always: tuple[str, ...] = field(default=())  # values that live for ever, such as a state


def operators(graphs: Iterable[Graph]) -> dict[str, int]:
    """How often each operator occurs, the most frequent first."""
    counts = Counter(node.op for graph in graphs for node in graph.nodes)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def all_graphs(graph: Graph) -> Iterator[Graph]:
    """The graph and every body in it, each once."""
    yield graph
    for node in graph.nodes:
        for body in node.inner:
            yield from all_graphs(body)


def macs(graph: Graph) -> int:
    """Multiply-accumulates of one run; of branches the costliest is taken."""
    total = 0
    for node in graph.nodes:
        bodies = [macs(body) for body in node.inner]
        inner = max(bodies, default=0) if node.choice else sum(bodies)
        total += (node.macs or 0) + inner * node.times
    return total


def constants(graphs: Iterable[Graph]) -> list[Value]:
    """Constants of all graphs, each storage once."""
    found = {
        value.storage or value.name: value
        for graph in graphs
        for value in graph.values.values()
        if value.constant
    }
    return list(found.values())


def peak_bytes(graph: Graph) -> int:
    """Bytes of activations at the worst moment of one run.

    An activation lives from the node that makes it, an input from the start, to the last node that
    reads it, an output to the end. A body's own peak comes on top of what lives around it. Runtimes
    do better where they compute in place, and worse where they pad or keep copies.
    """
    last = _last_reads(graph)
    sizes = {
        name: value.bytes
        for name, value in graph.values.items()
        if not value.constant and not value.fused
    }
    live = {name for name in (*graph.inputs, *graph.always) if name in sizes}
    now = sum(sizes[name] for name in live)
    peak = now
    for position, node in enumerate(graph.nodes):
        for name in node.outputs:
            if name in sizes and name not in live:
                live.add(name)
                now += sizes[name]
        peak = max(peak, now + max((peak_bytes(body) for body in node.inner), default=0))
        for name in {*node.inputs, *node.outputs}:
            if name in live and last.get(name, -1) <= position:
                live.discard(name)
                now -= sizes[name]
    return peak


def _last_reads(graph: Graph) -> dict[str, int]:
    """Position of the last node that reads each value; of outputs, behind the last.

    What a fused value is made from is read when the fused value is: it is never stored itself.
    """
    last: dict[str, int] = {}
    for position, node in enumerate(graph.nodes):
        inside = (name for body in node.inner for name in _reads(body))
        last |= dict.fromkeys((*node.inputs, *inside), position)
    last |= dict.fromkeys((*graph.outputs, *graph.always), len(graph.nodes))
    for node in reversed(graph.nodes):
        fused = [name for name in node.outputs if name in graph.values and graph.values[name].fused]
        latest = max((last.get(name, -1) for name in fused), default=-1)
        last |= {name: max(last[name], latest) for name in node.inputs}
    return last


def _reads(graph: Graph) -> Iterator[str]:
    yield from graph.outputs
    for each in all_graphs(graph):
        for node in each.nodes:
            yield from node.inputs
