"""Readable names and the manifest, written into converted files.

Converters name tensors after their own internals ('args_0', 'Identity:0'). A file that a person or
another program opens should say what goes in and what comes out.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from edge.manifest import ONNX_KEY, Manifest
from edge.manifest_tflite import append_to_tflite, is_tflite, read_from_tflite
from edge.tensor import Tensor, natural_order
from toolkit.errors import ConversionError
from toolkit.runtimes import least_onnxruntime

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


def as_stored(model: bytes, manifest: Manifest) -> Manifest:
    """The manifest with int32 where a converter narrowed int64, by a TFLite file with names."""
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.Model.GetRootAs(model, 0)
    signature = tree.SignatureDefs(0)
    graph = tree.Subgraphs(signature.SubgraphIndex())

    def stored(tensors: Sequence[Tensor], count: int, entry: Any) -> tuple[Tensor, ...]:
        entries = {_text(entry(i).Name()): entry(i).TensorIndex() for i in range(count)}
        names = _order(entries, tensors)
        types = [graph.Tensors(entries[name]).Type() for name in names]
        return tuple(
            dataclasses.replace(tensor, dtype="int32")
            if tensor.dtype == "int64" and kind == schema.TensorType.INT32
            else tensor
            for tensor, kind in zip(tensors, types, strict=True)
        )

    return dataclasses.replace(
        manifest,
        inputs=stored(manifest.inputs, signature.InputsLength(), signature.Inputs),
        outputs=stored(manifest.outputs, signature.OutputsLength(), signature.Outputs),
    )


def name_onnx(model: Any, manifest: Manifest) -> bytes:
    """Name inputs, outputs and the batch axis of an ONNX model; add the manifest; serialise."""
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    renamed = {}
    for values, tensors in ((inputs, manifest.inputs), (graph.output, manifest.outputs)):
        for value, tensor in zip(values, tensors, strict=True):
            renamed[value.name] = tensor.name
            _write_shape(value, tensor)
    _rename(graph, renamed)
    for part in _graphs(graph):
        for node in part.node:  # torch writes where in whose files each operator comes from
            del node.metadata_props[:]
            node.ClearField("doc_string")
    opset = next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    needs = {"onnxruntime": least_onnxruntime(opset, model.ir_version)}
    manifest = dataclasses.replace(manifest, extra={**manifest.extra, "needs": needs})
    return _with_manifest(model, manifest)


def with_facts(content: bytes, facts: Mapping[str, Any]) -> bytes:
    """The .tflite or .onnx file with further facts in its manifest; as it is without one."""
    if is_tflite(content):
        manifest = read_from_tflite(content)
        return content if manifest is None else append_to_tflite(content, _told(manifest, facts))
    import onnx

    model = onnx.load_model_from_string(content)
    texts = [entry.value for entry in model.metadata_props if entry.key == ONNX_KEY]
    if not texts:
        return content
    return _with_manifest(model, _told(Manifest.from_json(texts[0]), facts))


def _told(manifest: Manifest, facts: Mapping[str, Any]) -> Manifest:
    return dataclasses.replace(manifest, extra={**manifest.extra, **facts})


def _with_manifest(model: Any, manifest: Manifest) -> bytes:
    """An ONNX file that carries this manifest and no other."""
    others = [entry for entry in model.metadata_props if entry.key != ONNX_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(others)
    entry = model.metadata_props.add()
    entry.key, entry.value = ONNX_KEY, manifest.to_json()
    content: bytes = model.SerializeToString()
    return content


def _ordered(entries: Sequence[Any], tensors: Sequence[Tensor]) -> list[Any]:
    """A signature's entries in the manifest's order.

    Names that are right already say which is which; a converter's own are numbered by position.
    """
    by_name = {_text(entry.name): entry for entry in entries}
    return [by_name[name] for name in _order(by_name, tensors)]


def _order(found: Iterable[str], tensors: Sequence[Tensor]) -> list[str]:
    """A file's names of the manifest's tensors, in the manifest's order."""
    names = [tensor.name for tensor in tensors]
    return names if set(names) == set(found) else sorted(found, key=natural_order)


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


def _write_shape(value: Any, tensor: Tensor) -> None:
    """Converters leave sizes open that are known, and give a batch several names."""
    for axis, (dim, size) in enumerate(
        zip(value.type.tensor_type.shape.dim, tensor.shape, strict=True)
    ):
        if size is None and axis == 0:
            dim.dim_param = "batch"
        elif size is not None and not dim.HasField("dim_value"):
            dim.dim_value = size


def check_opset(model: Any, wanted: int) -> None:
    """Exporters may write another operator set than the wanted one, without a word.

    Raises:
        ConversionError: this one did.
    """
    found = next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 0)
    if found != wanted:
        raise ConversionError(
            f"the exporter writes ONNX opset {found} for this model, not {wanted}; use --opset "
            f"{found}"
        )
