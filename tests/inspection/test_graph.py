"""Counts over graphs that are made by hand."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from toolkit.inspection.graph import Graph, Node, Value, byte_count, macs, operators, peak_bytes
from toolkit.runtimes import least_onnxruntime


def graph(sizes, nodes, inputs, outputs, **options):
    values = {name: Value(name, "int8", (size,)) for name, size in sizes.items()}
    return Graph(values, tuple(nodes), tuple(inputs), tuple(outputs), **options)


def node(inputs, outputs, **options):
    return Node("Op", tuple(inputs), tuple(outputs), **options)


def chain(sizes):
    names = [f"v{index}" for index in range(len(sizes))]
    nodes = [node([a], [b]) for a, b in pairwise(names)]
    return graph(dict(zip(names, sizes, strict=True)), nodes, names[:1], names[-1:])


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=9))
def test_a_chain_holds_two_neighbours_at_most(sizes):
    assert peak_bytes(chain(sizes)) == max(map(sum, pairwise(sizes)))


def test_a_skip_connection_stays_alive():
    sizes = {"x": 10, "a": 100, "b": 1, "y": 10}
    nodes = [node("x", "a"), node("a", "b"), node(["b", "x"], "y")]
    assert peak_bytes(graph(sizes, nodes, "x", "y")) == 111


def test_constants_and_fused_values_take_no_memory():
    values = {
        "x": Value("x", "int8", (10,)),
        "w": Value("w", "float32", (1000,), constant=True),
        "f": Value("f", "float32", (1000,), fused=True),
        "y": Value("y", "int8", (10,)),
    }
    nodes = (node(["x", "w"], "f"), node("f", "y"))
    assert peak_bytes(Graph(values, nodes, ("x",), ("y",))) == 20


def test_a_state_lives_for_ever_and_what_nobody_reads_dies():
    nodes = [node("x", ["a", "lost"]), node("a", "y")]
    sizes = {"x": 1, "a": 10, "lost": 100, "y": 200}
    assert peak_bytes(graph(sizes, nodes, "x", "y")) == 210
    assert peak_bytes(graph(sizes | {"s": 1000}, nodes, "x", "y", always=("s",))) == 1210


def test_bodies_come_on_top():
    body = graph({"i": 50, "o": 60}, [node("i", "o", macs=7)], "i", "o")
    small = graph({"i": 1, "o": 1}, [node("i", "o", macs=3)], "i", "o")
    sizes = {"x": 10, "y": 10}
    loop = graph(sizes, [node("x", "y", macs=None, inner=(body, small))], "x", "y")
    choice = graph(sizes, [node("x", "y", inner=(body, small), choice=True)], "x", "y")
    assert (peak_bytes(loop), macs(loop), macs(choice)) == (130, 10, 7)
    assert operators([loop, body, small]) == {"Op": 3}


def test_what_a_body_reads_from_outside_stays_alive():
    body = graph({"o": 1}, [node(["outer"], "o")], "", "o")
    nodes = [node("x", ["outer"]), node("x", "a"), node("a", "b"), node("b", "y", inner=(body,))]
    sizes = {"x": 1, "outer": 1000, "a": 1, "b": 1, "y": 1}
    assert peak_bytes(graph(sizes, nodes, "x", "y")) == 1003


def test_bytes_of_packed_numbers():
    assert byte_count("int4", 5) == 3
    assert byte_count("float8e5m2", 5) == 5
    assert byte_count("float16", 5) == 10
    assert byte_count("string", 5) == 0


def test_the_least_onnxruntime():
    assert least_onnxruntime(17, 8) == ">= 1.12"
    assert least_onnxruntime(17, 10) == ">= 1.18"
    assert least_onnxruntime(7, 3) == ">= 0.1"
    assert least_onnxruntime(22, 10) == "> 1.20"
