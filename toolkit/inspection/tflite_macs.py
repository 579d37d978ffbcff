"""Multiply-accumulates of one TFLite operator, from the shapes of its tensors."""

import math
from collections.abc import Callable, Mapping, Sequence

from toolkit.inspection.graph import Graph, Value

Inputs = Sequence[Value | None]


def macs(op: str, inputs: Inputs, output: Value | None, adjoint: bool = False) -> int | None:
    """Multiply-accumulates of an operator; 0 if it is of a kind that is not counted.

    Args:
        op: name of the builtin operator.
        inputs: its inputs, None where one is left out.
        output: the first output.
        adjoint: of BATCH_MATMUL: whether the first matrix is transposed.

    Returns:
        None where it would count and a tensor is missing or has too few axes.
    """
    if op == "BATCH_MATMUL":
        return _matmul(inputs, output, adjoint)
    if op not in _COUNT:
        return 0
    try:
        return _COUNT[op](inputs, _shape(output))
    except (IndexError, ZeroDivisionError):
        return None


def trips(condition: Graph, starts: Sequence[Value | None]) -> int:
    """How often a WHILE runs, as Keras writes the loops of recurrent layers: counter < constant.

    Args:
        condition: its condition, true while the loop goes on.
        starts: values that enter the loop.

    Returns:
        1 where the condition compares no counter. A counter is taken to count in ones.
    """
    counts = []
    for node in condition.nodes:
        if node.op == "LESS" and node.inputs[0] in condition.inputs:
            start = starts[condition.inputs.index(node.inputs[0])]
            end = condition.values[node.inputs[1]].number
            if start is not None and start.number is not None and end is not None:
                counts.append(end - start.number)
    return max(1, min(counts, default=1))


def _shape(value: Value | None) -> tuple[int, ...]:
    """The shape; raises IndexError for what is not there, as a missing axis does."""
    if value is None or value.shape is None:
        raise IndexError
    return value.shape


def _conv(inputs: Inputs, output: tuple[int, ...]) -> int:
    """Weights are [out, *kernel, in]; in counts the inputs of one group."""
    return math.prod(output) * math.prod(_shape(inputs[1])[1:])


def _depthwise(inputs: Inputs, output: tuple[int, ...]) -> int:
    _, height, width, _ = (*_shape(inputs[1]), 0, 0, 0, 0)[:4]
    return math.prod(output) * height * width


def _conv_3d(inputs: Inputs, output: tuple[int, ...]) -> int:
    """Weights are [depth, height, width, in, out]."""
    return math.prod(output) * math.prod(_shape(inputs[1])[:4])


def _transposed(inputs: Inputs, _output: tuple[int, ...]) -> int:
    """Inputs are output shape, weights [out, height, width, in], data."""
    return math.prod(_shape(inputs[2])) * math.prod(_shape(inputs[1])[:3])


def _dense(inputs: Inputs, output: tuple[int, ...]) -> int:
    return math.prod(output) * _shape(inputs[1])[1]


def _matmul(inputs: Inputs, output: Value | None, adjoint: bool) -> int | None:
    if len(inputs) < 2 or inputs[0] is None or output is None:
        return None
    shape = inputs[0].shape
    if shape is None or len(shape) < 2:
        return None
    return output.elements * shape[-2 if adjoint else -1]


def _recurrent(weights: Sequence[int]) -> Callable[[Inputs, tuple[int, ...]], int]:
    """Each step multiplies by every weight once; input 0 is [..., features]."""

    def count(inputs: Inputs, _output: tuple[int, ...]) -> int:
        data = _shape(inputs[0])
        steps = math.prod(data) // data[-1]
        there = [inputs[index] for index in weights if index < len(inputs)]
        return steps * sum(value.elements for value in there if value is not None)

    return count


_LSTM = (1, 2, 3, 4, 5, 6, 7, 8, 16)  # input to gates, state to gates, projection

_COUNT: Mapping[str, Callable[[Inputs, tuple[int, ...]], int]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "CONV_3D": _conv_3d,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _dense,
    "LSTM": _recurrent(_LSTM),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _recurrent(_LSTM),
    "RNN": _recurrent((1, 2)),
    "UNIDIRECTIONAL_SEQUENCE_RNN": _recurrent((1, 2)),
}
