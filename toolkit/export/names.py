"""Readable names and the manifest, written into converted files.

Converters name tensors after their own internals ('args_0', 'Identity:0'). A file that a person or
another program opens should say what goes in and what comes out.
"""

from typing import Any

from edge.manifest import ONNX_KEY, Manifest
from edge.tensor import natural_order

_SIGNATURE = "serving_default"


def name_tflite(model: bytes, manifest: Manifest) -> bytes:
    """Name inputs, outputs and the signature of a TFLite model after the manifest, in order."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    (signature,) = tree.signatureDefs
    graph = tree.subgraphs[signature.subgraphIndex]
    for entries, tensors in (
        (signature.inputs, manifest.inputs),
        (signature.outputs, manifest.outputs),
    ):
        ordered = sorted(entries, key=lambda entry: natural_order(_text(entry.name)))
        for entry, tensor in zip(ordered, tensors, strict=True):
            entry.name = tensor.name
            graph.tensors[entry.tensorIndex].name = tensor.name
    signature.signatureKey = _SIGNATURE
    builder = flatbuffers.Builder(len(model) + 4096)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def name_onnx(model: Any, manifest: Manifest) -> bytes:
    """Name inputs, outputs and the batch axis of an ONNX model; add the manifest; serialise."""
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    renamed = {}
    for values, tensors in ((inputs, manifest.inputs), (graph.output, manifest.outputs)):
        for value, tensor in zip(values, tensors, strict=True):
            renamed[value.name] = tensor.name
            value.name = tensor.name
            if tensor.shape[0] is None:
                value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = renamed.get(name, name)
    entry = model.metadata_props.add()
    entry.key, entry.value = ONNX_KEY, manifest.to_json()
    content: bytes = model.SerializeToString()
    return content


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
