"""A TFLite file as ONNX, so that a second, independent runtime can run it. Loads TensorFlow."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.errors import ModelError
from edge.manifest import ONNX_KEY, read_from_tflite

OPSET = 18
_LEFT_AS_IT_WAS = "TFL_"  # how tf2onnx calls operators that it does not know


def tflite_to_onnx(content: bytes) -> bytes | None:
    """Convert with tf2onnx; inputs and outputs keep the signature's names, and the manifest stays.

    Returns:
        The ONNX file, or None where tf2onnx lacks an operator, which is no fault of the file.

    Raises:
        ModelError: the content is not a TFLite model, or tf2onnx fails.
    """
    import tf2onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        try:
            model, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
        except Exception as error:
            raise ModelError(f"tf2onnx cannot convert it: {str(error)[:300]}") from error
    if any(node.op_type.startswith(_LEFT_AS_IT_WAS) for node in model.graph.node):
        return None
    _rename(model.graph, _signature_names(content))
    manifest = read_from_tflite(content)
    if manifest is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = ONNX_KEY, manifest.to_json()
    converted: bytes = model.SerializeToString()
    return converted


def _signature_names(content: bytes) -> dict[str, str]:
    """The names that the file's only signature gives to tensors, by the tensors' own."""
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromPackedBuf(content, 0)
    if len(tree.signatureDefs or ()) != 1:
        return {}
    (signature,) = tree.signatureDefs
    tensors = tree.subgraphs[signature.subgraphIndex].tensors
    entries = [*(signature.inputs or ()), *(signature.outputs or ())]
    return {_text(tensors[e.tensorIndex].name): _text(e.name) for e in entries}


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Rename an ONNX graph's tensors, wherever they are used."""
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for used in (node.input, node.output):
            used[:] = [names.get(name, name) for name in used]
