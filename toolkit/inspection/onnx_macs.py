"""Multiply-accumulates of one ONNX operator, from the shapes of its tensors."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Shape = tuple[int, ...]
Attributes = Mapping[str, Any]


def macs(
    op: str, inputs: Sequence[Shape | None], output: Shape | None, attributes: Attributes
) -> int | None:
    """Multiply-accumulates of an operator; 0 if it is of a kind that is not counted.

    Args:
        op: its type, whatever the domain.
        inputs: shapes, None where one is unknown or left out.
        output: shape of the first output that there is.
        attributes: by name.

    Returns:
        None where it would count and a shape is unknown or has too few axes.
    """
    if op not in _COUNT:
        return 0
    try:
        return _COUNT[op](_Shapes(inputs), output, attributes)
    except (IndexError, TypeError):
        return None


class _Shapes:
    """Inputs by position; raises IndexError for what is unknown, as a missing axis does."""

    def __init__(self, shapes: Sequence[Shape | None]) -> None:
        self._shapes = shapes

    def __getitem__(self, position: int) -> Shape:
        shape = self._shapes[position]
        if shape is None:
            raise IndexError
        return shape


_Counter = Callable[[_Shapes, Shape | None, Attributes], int]


def _known(shape: Shape | None) -> Shape:
    if shape is None:
        raise IndexError
    return shape


def _conv(weights: int) -> _Counter:
    """Weights [out, in of one group, *kernel] are the input at this position."""
    return lambda inputs, output, _: math.prod(_known(output)) * math.prod(inputs[weights][1:])


def _transposed(inputs: _Shapes, _output: Shape | None, _: Attributes) -> int:
    """Weights are [in, out of one group, *kernel]."""
    return math.prod(inputs[0]) * math.prod(inputs[1][1:])


def _matmul(inputs: _Shapes, output: Shape | None, attributes: Attributes) -> int:
    return math.prod(_known(output)) * inputs[0][-2 if attributes.get("transA") else -1]


def _recurrent(gates: int) -> _Counter:
    """Input [time, batch, in], weights [directions, gates * hidden, in], recurrence likewise."""

    def count(inputs: _Shapes, _output: Shape | None, _: Attributes) -> int:
        time, batch, features = inputs[0]
        directions, rows, hidden = inputs[2]
        return time * batch * directions * gates * (rows // gates) * (features + hidden)

    return count


def _einsum(inputs: _Shapes, _output: Shape | None, attributes: Attributes) -> int:
    """Every combination of the labels' values is one product."""
    equation = attributes["equation"].decode().replace(" ", "").partition("->")[0]
    terms = equation.split(",")
    if "..." in equation or len(terms) != 2:
        raise IndexError
    sizes: dict[str, int] = {}
    for position, term in enumerate(terms):
        for label, size in zip(term, inputs[position], strict=False):
            sizes[label] = max(size, sizes.get(label, 1))
    return math.prod(sizes.values())


_COUNT: Mapping[str, _Counter] = {
    "Conv": _conv(1),
    "FusedConv": _conv(1),
    "NhwcFusedConv": _conv(1),
    "ConvInteger": _conv(1),
    "QLinearConv": _conv(3),
    "ConvTranspose": _transposed,
    "MatMul": _matmul,
    "FusedMatMul": _matmul,
    "Gemm": _matmul,
    "FusedGemm": _matmul,
    "QGemm": _matmul,
    "MatMulInteger": _matmul,
    "MatMulIntegerToFloat": _matmul,
    "DynamicQuantizeMatMul": _matmul,
    "QLinearMatMul": _matmul,
    "Einsum": _einsum,
    "RNN": _recurrent(1),
    "GRU": _recurrent(3),
    "LSTM": _recurrent(4),
}
