"""Readable names and the manifest, written into converted files.

Converters name tensors after their own internals ('args_0', 'Identity:0'). A file that a person or
another program opens should say what goes in and what comes out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge.manifest import ONNX_KEY, Manifest
from edge.tensor import Tensor, natural_order

_SIGNATURE = "serving_default"


def name_tflite(model: bytes, manifest: Manifest) -> bytes:
    """Name inputs, outputs and the signature of a TFLite model after the manifest."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    (signature,) = tree.signatureDefs
    graph = tree.subgraphs[signature.subgraphIndex]
    for entries, tensors in (
        (signature.inputs, manifest.inputs),
        (signature.outputs, manifest.outputs),
    ):
        for entry, tensor in zip(_ordered(entries, tensors), tensors, strict=True):
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
            if tensor.shape[0] is None:
                value.type.tensor_type.shape.dim[0].dim_param = "batch"
    _rename(graph, renamed)
    entry = model.metadata_props.add()
    entry.key, entry.value = ONNX_KEY, manifest.to_json()
    content: bytes = model.SerializeToString()
    return content


def _ordered(entries: Sequence[Any], tensors: Sequence[Tensor]) -> list[Any]:
    """A signature's entries in the manifest's order.

    Names that are right already say which is which; a converter's own are numbered by position.
    """
    by_name = {_text(entry.name): entry for entry in entries}
    names = [tensor.name for tensor in tensors]
    if set(names) != set(by_name):
        names = sorted(by_name, key=natural_order)
    return [by_name[name] for name in names]


def _rename(graph: Any, wanted: Mapping[str, str]) -> None:
    """Give tensors of an ONNX graph and of its bodies other names.

    A tensor that has a wanted name already moves aside. No two names become one, so that the
    graph still computes the same.
    """
    parts = list(_graphs(graph))
    taken = {name for part in parts for name in _names(part)} | set(wanted.values())
    renamed = dict(wanted)
    for name in set(wanted.values()) - set(wanted):
        aside = name
        while aside in taken:
            aside += "_inner"
        renamed[name] = aside
        taken.add(aside)
    for part in parts:
        for value in (*part.input, *part.output, *part.initializer, *part.value_info):
            value.name = renamed.get(value.name, value.name)
        for node in part.node:
            for names in (node.input, node.output):
                names[:] = [renamed.get(name, name) for name in names]


def _graphs(graph: Any) -> Iterator[Any]:
    """The graph and the bodies of its branches and loops, however deep."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for body in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(body)


def _names(graph: Any) -> Iterator[str]:
    for value in (*graph.input, *graph.initializer):
        yield value.name
    for node in graph.node:
        yield from node.output


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
