"""A TFLite file as ONNX, so that a second, independent runtime can run it. Loads TensorFlow."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.errors import ModelError
from edge.manifest import ONNX_KEY
from edge.manifest_tflite import is_tflite, read_from_tflite

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
        try:
            path.write_bytes(_with_biases_apart(content))
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


def _with_biases_apart(content: bytes) -> bytes:
    """The model, biases added by operators of their own where tf2onnx would lose them.

    It does (1.17) where a fully connected operator flattens the leading axes of its input, as those
    of an unrolled LSTM of torch do.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    if not is_tflite(content):
        return content
    tree = schema.ModelT.InitFromPackedBuf(content, 0)
    found = [
        (graph, operator)
        for graph in tree.subgraphs
        for operator in graph.operators
        if isinstance(operator.builtinOptions, schema.FullyConnectedOptionsT)
        and not operator.builtinOptions.keepNumDims
        and len(operator.inputs) > 2
        and operator.inputs[2] >= 0
        and len(graph.tensors[operator.inputs[0]].shape) > 2
    ]
    if not found or any(buffer.offset > 1 for buffer in tree.buffers):  # weights behind the tree
        return content
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    tree.operatorCodes.append(code)
    for graph, operator in found:
        _add_bias_apart(graph, operator, len(tree.operatorCodes) - 1, schema)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _add_bias_apart(graph: Any, operator: Any, code: int, schema: Any) -> None:
    product, add, options = schema.TensorT(), schema.OperatorT(), schema.AddOptionsT()
    (output,) = operator.outputs
    whole = graph.tensors[output]
    product.shape, product.shapeSignature, product.type = whole.shape, None, whole.type
    product.name = _text(whole.name) + "_without_bias"
    graph.tensors.append(product)
    product_index = len(graph.tensors) - 1
    activation = operator.builtinOptions.fusedActivationFunction
    options.fusedActivationFunction, operator.builtinOptions.fusedActivationFunction = activation, 0
    add.opcodeIndex, add.builtinOptions = code, options
    add.builtinOptionsType = schema.BuiltinOptions.AddOptions
    add.inputs, add.outputs = [product_index, operator.inputs[2]], [output]
    operator.inputs, operator.outputs = [*operator.inputs[:2], -1], [product_index]
    graph.operators = list(graph.operators)
    graph.operators.insert(graph.operators.index(operator) + 1, add)


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
