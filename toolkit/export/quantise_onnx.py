"""Precisions of an ONNX file, by onnxruntime's quantiser.

Static files are in QDQ form: each tensor keeps its name and is followed by a pair of QuantizeLinear
and DequantizeLinear that runtimes fuse into integer operators.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edge.errors import ModelError
from edge.manifest import ONNX_KEY, Manifest
from toolkit.errors import ConversionError, UsageError
from toolkit.export import quantise_onnx_graph as edits
from toolkit.recipe import Array

_STATIC_OPSET = 13  # the first whose QuantizeLinear works a channel
_HALF_MAX = 65504.0
_HALF_TINY = 6e-8

# quantize_dynamic multiplies these in int8; convolutions would become slow and, a channel, wrong.
_DYNAMIC = ["MatMul", "Gemm", "LSTM", "Attention"]

# Passed on the way back from an output to the operator whose weights it comes from.
_PASSED = frozenset(
    [
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Flatten",
        "Transpose",
        "Slice",
        "Split",
        "Concat",
        "Identity",
        "Cast",
        "Softmax",
        "LogSoftmax",
        "Sigmoid",
        "Tanh",
        "Relu",
        "Clip",
        "Exp",
        "Add",
        "Sub",
        "Mul",
        "Div",
    ]
)


def quantise_onnx(
    content: bytes, precision: str, calibration: Mapping[str, Array], io: str
) -> bytes:
    """As `toolkit.export.quantise.quantise`, for an .onnx file."""
    model = _parse(content)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    scales: dict[str, tuple[float, int]] = {}
    match precision:
        case "fp16":
            made = _half(model)
        case "dynamic":
            made = _dynamic(model)
        case _:
            made = _static(model, calibration, float_outputs=precision == "int8-float")
            scales = edits.take_integers(made.graph) if io == "int8" else {}
    if ONNX_KEY in properties:
        manifest = Manifest.from_json(properties[ONNX_KEY])
        properties[ONNX_KEY] = _described(manifest, precision, scales).to_json()
    edits.strip(made.graph)
    del made.metadata_props[:]
    for key, value in properties.items():
        entry = made.metadata_props.add()
        entry.key, entry.value = key, value
    done: bytes = made.SerializeToString(deterministic=True)
    return done


def _parse(content: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        line = str(error).strip().splitlines()[0]
        raise ModelError(f"not a usable ONNX model: {line}\ncopy or export it again") from error
    edits.name_nodes(model.graph)
    return model


def _half(model: Any) -> Any:
    """All floats in half precision but for inputs and outputs; what is larger is clipped.

    Transpose stays float32: onnxruntime 1.24 to 1.32 crash on x86 where one in fp16 feeds a matrix
    product (microsoft/onnxruntime#28392).
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(
        model,
        keep_io_types=True,
        max_finite_val=_HALF_MAX,
        min_positive_val=_HALF_TINY,
        node_block_list=[node.name for node in model.graph.node if node.op_type == "Transpose"],
    )


def _dynamic(model: Any) -> Any:
    """Int8 weights; matrix products and LSTMs compute in int8, convolutions in float."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantize_dynamic(
            _prepared(model),
            path,
            op_types_to_quantize=_DYNAMIC,
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        made = onnx.load(path)
    edits.store_weights_as_int8(made.graph, edits.STORED)
    return made


def _static(model: Any, calibration: Mapping[str, Array], *, float_outputs: bool) -> Any:
    """Int8 weights and activations.

    Raises:
        UsageError: the calibration samples do not fit the inputs.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    feeds = list(_feeds(model.graph, calibration))
    model = _prepared(_at_least(model, _STATIC_OPSET))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantize_static(
            model,
            path,
            _reader(feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=sorted(_output_nodes(model.graph)) if float_outputs else [],
        )
        made = onnx.load(path)
    edits.store_weights_as_int8(made.graph, ("LSTM", "GRU"))  # they have no static way
    return made


def _prepared(model: Any) -> Any:
    """The model with shapes inferred, constants computed and batch norms folded."""
    import onnx
    from onnxruntime.quantization import quant_pre_process

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)  # given a tree, it loses track of a file that it makes of it
        quant_pre_process(path, path, skip_symbolic_shape=True)
        made = onnx.load(path)
    edits.name_nodes(made.graph)
    return made


def _at_least(model: Any, opset: int) -> Any:
    """The model, brought to an opset if it has an older one."""
    import onnx

    (has,) = {entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")}
    if has >= opset:
        return model
    try:
        return onnx.version_converter.convert_version(model, opset)
    except RuntimeError as error:
        raise ConversionError(
            f"opset {has} is too old for int8, and cannot be brought to {opset}\n"
            f"export the model with opset {opset} or newer",
            detail=str(error),
        ) from error


def _reader(feeds: Iterable[dict[str, Array]]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._feeds = iter(feeds)

        def get_next(self) -> dict[str, Array] | None:
            return next(self._feeds, None)

    return Reader()


def _feeds(graph: Any, calibration: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """Calibration samples in parts of the batch size that the file takes; one by one if any.

    Raises:
        UsageError: an input has no samples, or samples of another shape.
    """
    inputs = {value.name: edits.shape(value) for value in edits.real_inputs(graph)}
    if set(inputs) != set(calibration):
        raise UsageError(
            f"calibration has samples for {', '.join(sorted(calibration))}; "
            f"the file's inputs are {', '.join(sorted(inputs))}"
        )
    for name, sizes in inputs.items():
        given = calibration[name].shape
        if len(given) != len(sizes) or any(
            size not in (None, other) for size, other in zip(sizes[1:], given[1:], strict=True)
        ):
            raise UsageError(f"calibration: {name!r} is {list(given)}, the file takes {sizes}")
    batch = max((sizes[0] or 1 for sizes in inputs.values() if sizes), default=1)
    count = len(next(iter(calibration.values())))
    if count < batch:
        raise UsageError(f"calibration: {count} samples, the file takes {batch} at a time")
    for start in range(0, count - batch + 1, batch):
        yield {name: array[start : start + batch] for name, array in calibration.items()}


def _output_nodes(graph: Any) -> set[str]:
    """Names of the nodes that outputs come from, up to those whose weights they have."""
    made_by = {name: node for node in graph.node for name in node.output}
    waiting, found = [value.name for value in graph.output], set()
    while waiting:
        node = made_by.get(waiting.pop())
        if node is None or node.name in found:
            continue
        found.add(node.name)
        if node.op_type in _PASSED:
            waiting += node.input
    return found


def _described(
    manifest: Manifest, precision: str, scales: Mapping[str, tuple[float, int]]
) -> Manifest:
    return replace(
        manifest,
        precision=precision,
        inputs=tuple(replace(t, quantization=scales.get(t.name)) for t in manifest.inputs),
        outputs=tuple(replace(t, quantization=scales.get(t.name)) for t in manifest.outputs),
    )
