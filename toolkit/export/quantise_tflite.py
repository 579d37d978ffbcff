"""Precisions of a TFLite file, by AI Edge Quantizer.

The range of each tensor is the least and the greatest value over all calibration samples. The
quantiser's own way, a moving average, weighs the first sample most and cuts off what is rare.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edge.manifest import Manifest
from edge.manifest_tflite import read_from_tflite
from edge.tensor import Tensor
from toolkit.errors import ConversionError
from toolkit.export import quantise_flatbuffer as flatbuffer
from toolkit.export.quantise_ranges import joined, ranges_of, samples_of
from toolkit.export.tflite_lookups import gather_lookups
from toolkit.recipe import Array

_SIGNATURE = "serving_default"

# Passed on the way back from an output to the operator whose weights it comes from.
_PASSED = frozenset(
    [
        "RESHAPE",
        "SQUEEZE",
        "EXPAND_DIMS",
        "TRANSPOSE",
        "SLICE",
        "STRIDED_SLICE",
        "SPLIT",
        "SPLIT_V",
        "UNPACK",
        "PACK",
        "CONCATENATION",
        "SOFTMAX",
        "LOG_SOFTMAX",
        "LOGISTIC",
        "TANH",
        "RELU",
        "RELU6",
        "EXP",
        "ADD",
        "SUB",
        "MUL",
        "DIV",
    ]
)


def quantise_tflite(
    content: bytes, precision: str, calibration: Mapping[str, Array], io: str
) -> bytes:
    """As `toolkit.export.quantise.quantise`, for a .tflite file."""
    manifest = read_from_tflite(content)
    tree = flatbuffer.parse(content)
    signature = _signature(tree)
    if precision == "fp16":
        flatbuffer.halve_weights(tree)
    else:
        gather_lookups(tree, tied=precision in ("int8", "16x8"))
        samples = samples_of(tree, signature, calibration) if calibration else []
        recipe = _recipe(tree, signature, precision, io)
        hidden = flatbuffer.hide_used_outputs(tree, signature)
        tree = _quantised(tree, signature, recipe, samples)
        flatbuffer.tidy(tree)
        flatbuffer.show_outputs(tree, hidden, as_float=io == "float")
    if manifest is not None:
        manifest = _described(manifest, tree, precision)
    model = flatbuffer.pack(tree)
    _check_runs(model, precision)
    return flatbuffer.with_archive(model, content, manifest)


def _check_runs(model: bytes, precision: str) -> None:
    """The quantiser knows not all that a runtime asks of integers: SPLIT with two scales, say."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        Interpreter(model_content=model, num_threads=1).allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ConversionError(
            f"LiteRT cannot run what the quantiser made: {error}\n"
            f"take another precision than {precision!r}, such as 'fp16'"
        ) from error


def _quantised(
    tree: Any, signature: Any, recipe: list[dict[str, Any]], samples: list[dict[str, Array]]
) -> Any:
    """The tree of the quantised file.

    Raises:
        ConversionError: the quantiser knows no way for an operator or tensor.
    """
    from ai_edge_quantizer import Quantizer

    content = flatbuffer.pack(tree)
    if samples:
        fixed = {
            flatbuffer.text(tensor.name)
            for graph in tree.subgraphs
            for tensor in graph.tensors
            if flatbuffer.constant(tree, tensor) is not None
        }
        found = joined(tree, ranges_of(content, signature, samples))
        # a weight's range would take the place of its channels' ranges
        ranges = {name: limits for name, limits in found.items() if name not in fixed}
    else:
        ranges = {table: {"min": low, "max": high} for _, table, low, high in _tables(tree)}
    done = Quantizer(content, recipe).quantize(ranges or None, enable_progress_report=False)
    return flatbuffer.parse(bytes(done.quantized_model))


def _recipe(tree: Any, signature: Any, precision: str, io: str) -> list[dict[str, Any]]:
    """What the quantiser does with which operator; a later rule wins."""
    from ai_edge_quantizer import recipe as recipes

    integers = list(recipes.static_wi8_ai8())
    tables = [integers[0] | {"operation": "GATHER", "regex": _only(n)} for n, *_ in _tables(tree)]
    if precision == "dynamic":
        # An embedding's table has no dynamic way; its range is known without samples.
        # A small weight saves little and slows its operator down: converters leave it too.
        return [*recipes.dynamic_legacy_wi8_afp32(), *tables]
    # With activations of 16 bits the quantiser would take a table for one of them.
    rules = [*recipes.static_wi8_ai16(), *tables] if precision == "16x8" else integers
    if io == "float":
        rules += [_no_quantisation(".*", "INPUT"), _no_quantisation(".*", "OUTPUT")]
    if precision == "int8-float":
        rules += [_no_quantisation(_only(name), "*") for name in _output_operators(tree, signature)]
    return rules


def _no_quantisation(regex: str, operation: str) -> dict[str, Any]:
    return {"regex": regex, "operation": operation, "algorithm_key": "no_quantize", "op_config": {}}


def _only(name: str) -> str:
    """The pattern of the operator whose outputs, joined by semicolons, are called so."""
    return f"^{re.escape(name)};$"


def _scope(graph: Any, operator: Any) -> str:
    return ";".join(flatbuffer.text(graph.tensors[index].name) for index in operator.outputs)


def _output_operators(tree: Any, signature: Any) -> list[str]:
    """Operators that outputs come from, up to those whose weights they have."""
    graph = tree.subgraphs[signature.subgraphIndex]
    made_by = {}
    for name, operator in flatbuffer.operators(tree, graph):
        made_by.update(dict.fromkeys(operator.outputs, (name, operator)))
    waiting, found = list(graph.outputs), {}
    while waiting:
        index = waiting.pop()
        if index not in made_by or index in found:
            continue
        name, operator = made_by[index]
        found[index] = _scope(graph, operator)
        if name in _PASSED:
            waiting.extend(operator.inputs)
    return sorted(set(found.values()))


def _tables(tree: Any) -> list[tuple[str, str, Array, Array]]:
    """Embeddings: names of the operator's output and of its table, and the table's range."""
    found = []
    for graph in tree.subgraphs:
        for name, operator in flatbuffer.operators(tree, graph):
            tensor = graph.tensors[operator.inputs[0]] if name == "GATHER" else None
            values = flatbuffer.constant(tree, tensor) if tensor else None
            if tensor is not None and values is not None:
                low, high = (np.array([[limit]]) for limit in (values.min(), values.max()))
                found.append((_scope(graph, operator), flatbuffer.text(tensor.name), low, high))
    return found


def _signature(tree: Any) -> Any:
    """The only signature of a model; one is made from the names of tensors if there is none.

    Raises:
        ConversionError: there are several.
    """
    from ai_edge_litert import schema_py_generated as schema

    signatures = tree.signatureDefs or []
    if len(signatures) > 1:
        names = ", ".join(flatbuffer.text(item.signatureKey) for item in signatures)
        raise ConversionError(f"the model has several signatures: {names}\nexport one of them")
    if signatures:
        return signatures[0]
    made, graph = schema.SignatureDefT(), tree.subgraphs[0]
    made.signatureKey, made.subgraphIndex = _SIGNATURE, 0
    for side in ("inputs", "outputs"):
        entries = []
        for index in getattr(graph, side):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = flatbuffer.text(graph.tensors[index].name), index
            entries.append(entry)
        setattr(made, side, entries)
    tree.signatureDefs = [made]
    return made


def _described(manifest: Manifest, tree: Any, precision: str) -> Manifest:
    """The manifest with the precision, and with the scales of integers that stand for floats."""
    graph, signature = tree.subgraphs[tree.signatureDefs[0].subgraphIndex], tree.signatureDefs[0]

    def described(tensors: tuple[Tensor, ...], entries: Any) -> tuple[Tensor, ...]:
        inner = {flatbuffer.text(entry.name): graph.tensors[entry.tensorIndex] for entry in entries}
        return tuple(replace(t, quantization=_quantisation(t, inner.get(t.name))) for t in tensors)

    return replace(
        manifest,
        precision=precision,
        inputs=described(manifest.inputs, signature.inputs),
        outputs=described(manifest.outputs, signature.outputs),
    )


def _quantisation(tensor: Tensor, inner: Any) -> tuple[float, int] | None:
    parameters = inner.quantization if inner is not None else None
    if tensor.dtype != "float32" or parameters is None or parameters.scale is None:
        return None
    return float(parameters.scale[0]), int(parameters.zeroPoint[0])
