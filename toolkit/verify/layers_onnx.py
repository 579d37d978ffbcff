"""All tensors of an .onnx file, as onnxruntime computes them without fusing anything.

A quantiser follows the tensor X by X_QuantizeLinear_Output and X_DequantizeLinear_Output; what
later operators see, which is the latter, is given as X.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge.manifest import ONNX_KEY, Manifest
from edge.quantisation import quantise
from toolkit.recipe import Array
from toolkit.verify.layers import Tap

_ROUNDED = "_DequantizeLinear_Output"


def record(
    content: bytes, manifest: Manifest | None, feeds: Sequence[Mapping[str, Array]]
) -> list[Tap]:
    """Run the file on every feed and return its tensors in the order of their making.

    Args:
        content: the file.
        manifest: for the integers that stand for its inputs.
        feeds: preprocessed inputs by name, each of the batch size that the file takes.
    """
    import onnx

    model = onnx.load_from_string(content)
    outputs = {value.name for value in model.graph.output}
    made = [name for node in model.graph.node for name in node.output if name]
    model.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in made if name not in outputs
    )
    session = _session(model.SerializeToString())
    wanted = [value.name for value in session.get_outputs()]
    runs = [
        dict(zip(wanted, session.run(wanted, _fed(model.graph, manifest, feed)), strict=True))
        for feed in feeds
    ]
    return _taps(model.graph, runs)


def manifest_of(content: bytes) -> Manifest | None:
    """The manifest in the file, if any."""
    import onnx

    entries = onnx.load_from_string(content).metadata_props
    texts = [entry.value for entry in entries if entry.key == ONNX_KEY]
    return Manifest.from_json(texts[0]) if texts else None


def answer_by_reference(content: bytes, feeds: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Outputs by name, [n, ...], by ONNX's own slow and plain evaluator."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    model, manifest = onnx.load_from_string(content), manifest_of(content)
    evaluator = ReferenceEvaluator(model)
    runs = [evaluator.run(None, _fed(model.graph, manifest, feed)) for feed in feeds]
    names = [tensor.name for tensor in manifest.outputs] if manifest else evaluator.output_names
    return {
        name: np.concatenate([np.atleast_1d(run[place]) for run in runs])
        for place, name in enumerate(names)
    }


def _session(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _fed(graph: Any, manifest: Manifest | None, feed: Mapping[str, Array]) -> dict[str, Array]:
    """A feed under the names and in the dtypes of the file."""
    import onnx

    constants = {value.name for value in graph.initializer}
    dtypes = {
        value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        for value in graph.input
        if value.name not in constants
    }
    tensors = manifest.inputs if manifest else ()
    named = dict(zip((tensor.name for tensor in tensors), dtypes, strict=bool(manifest)))
    if set(feed) == set(dtypes):
        named = {}
    quantised = {named.get(t.name, t.name): t for t in tensors if t.quantization}
    given = {named.get(name, name): array for name, array in feed.items()}
    for name, tensor in quantised.items():
        given[name] = quantise(given[name], tensor, dtypes[name].name)
    return {name: given[name].astype(dtype, copy=False) for name, dtype in dtypes.items()}


def _taps(graph: Any, runs: Sequence[Mapping[str, Array]]) -> list[Tap]:
    taps = []
    for node in graph.node:
        made_of = tuple(name.removesuffix(_ROUNDED) for name in node.input)
        for name in node.output:
            seen = name + _ROUNDED if name + _ROUNDED in runs[0] else name
            if name and all(run[seen].shape == runs[0][seen].shape for run in runs):
                values = np.stack([run[seen] for run in runs])
                wide = values.astype(np.float32) if values.dtype == np.float16 else values
                taps.append(Tap(name, node.op_type, made_of, wide))
    return taps
