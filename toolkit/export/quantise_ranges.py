"""The ranges of a TFLite model's tensors over calibration samples."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from toolkit.errors import ConversionError, UsageError
from toolkit.export import quantise_flatbuffer as flatbuffer
from toolkit.recipe import Array

_WEIGHTED = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")
_MOVES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE")

_CHUNK = 16  # samples a run, where the batch is free: all inner tensors are kept in memory


def samples_of(
    tree: Any, signature: Any, calibration: Mapping[str, Array]
) -> list[dict[str, Array]]:
    """The calibration samples in parts of the batch size that the file takes.

    Raises:
        UsageError: an input has no samples, or samples of another shape.
    """
    graph = tree.subgraphs[signature.subgraphIndex]
    inputs = {
        flatbuffer.text(entry.name): graph.tensors[entry.tensorIndex] for entry in signature.inputs
    }
    if set(inputs) != set(calibration):
        raise UsageError(
            f"calibration has samples for {', '.join(sorted(calibration))}; "
            f"the file's inputs are {', '.join(sorted(inputs))}"
        )
    batches = set()
    for name, tensor in inputs.items():
        shape = _shape(tensor)
        batches.add(shape[0] if shape else None)
        given = calibration[name].shape
        if len(given) != len(shape) or any(
            a not in (b, -1) for a, b in zip(shape[1:], given[1:], strict=True)
        ):
            raise UsageError(f"calibration: {name!r} is {list(given)}, the file takes {shape}")
    (batch,) = batches if len(batches) == 1 else (1,)
    size = _CHUNK if batch in (-1, None) else int(batch)
    count = len(next(iter(calibration.values())))
    starts = range(0, count - size + 1, size) if batch != -1 else range(0, count, size)
    if not len(starts):
        raise UsageError(f"calibration: {count} samples, the file takes {size} at a time")
    return [
        {
            name: np.ascontiguousarray(array[start : start + size])
            for name, array in calibration.items()
        }
        for start in starts
    ]


def ranges_of(
    content: bytes, signature: Any, samples: list[dict[str, Array]]
) -> dict[str, dict[str, Array]]:
    """Least and greatest value of each float tensor.

    The quantiser's own calibrator runs a delegate that leaves some tensors without values.

    Raises:
        ConversionError: a value is NaN or infinite.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    places = {flatbuffer.text(entry.name): entry.tensorIndex for entry in signature.inputs}
    ranges: dict[str, dict[str, Array]] = {}
    shapes = None
    for part in samples:
        if shapes != (shapes := [array.shape for array in part.values()]):
            for name, array in part.items():
                interpreter.resize_tensor_input(places[name], array.shape)
            interpreter.allocate_tensors()
        for name, array in part.items():
            interpreter.set_tensor(places[name], array)
        interpreter.invoke()
        for detail in interpreter.get_tensor_details():
            name = detail["name"]  # scratch memory has none, and may hold anything
            if name and detail["dtype"] is np.float32 and np.prod(detail["shape"]) > 0:
                _widen(ranges, name, interpreter.get_tensor(detail["index"]))
    for limits in ranges.values():
        if not (limits["min"].any() or limits["max"].any()):  # no runtime takes a scale of 0
            limits["max"] = np.ones_like(limits["max"])
    return ranges


def joined(tree: Any, ranges: dict[str, dict[str, Array]]) -> dict[str, dict[str, Array]]:
    """The ranges, one for all inputs that meet the same weights, as the steps of an LSTM do.

    With a range for each step, biases and their channels' scales would be stored once a step.
    """
    ranges = dict(ranges)
    for graph in tree.subgraphs:
        names = [flatbuffer.text(tensor.name) for tensor in graph.tensors]
        met: dict[int, list[str]] = {}
        source: dict[int, int] = {}
        for kind, operator in flatbuffer.operators(tree, graph):
            if kind in _MOVES:  # what it gives has the scale of what it takes
                first = int(operator.inputs[0])
                source[int(operator.outputs[0])] = source.get(first, first)
            elif kind in _WEIGHTED:
                given, weights = map(int, operator.inputs[:2])
                met.setdefault(weights, []).append(names[source.get(given, given)])
        for inputs in met.values():
            found = [ranges[name] for name in inputs if name in ranges]
            if len(found) > 1:
                low = np.min([one["min"] for one in found], axis=0)
                high = np.max([one["max"] for one in found], axis=0)
                ranges |= {name: {"min": low, "max": high} for name in inputs}
    return ranges


def _widen(ranges: dict[str, dict[str, Array]], name: str, values: Array) -> None:
    low, high = values.min(keepdims=True), values.max(keepdims=True)
    if not np.isfinite([low, high]).all():
        raise ConversionError(
            f"tensor {name!r} is not finite on the calibration samples\n"
            "check the model and the samples for NaN and infinity"
        )
    if name in ranges:
        low = np.minimum(low, ranges[name]["min"])
        high = np.maximum(high, ranges[name]["max"])
    ranges[name] = {"min": low, "max": high}


def _shape(tensor: Any) -> list[int]:
    """Sizes; -1 where free."""
    signature = tensor.shapeSignature
    sizes = signature if signature is not None and len(signature) else tensor.shape
    return [int(size) for size in sizes] if sizes is not None else []
