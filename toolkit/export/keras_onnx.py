"""Keras -> ONNX with tf2onnx."""

from typing import Any

from toolkit.errors import ConversionError
from toolkit.export.job import Conversion, ExportJob
from toolkit.export.keras_layers import layer_of
from toolkit.export.keras_model import function_of, load_model
from toolkit.export.names import check_opset, name_onnx


def convert(job: ExportJob) -> Conversion:
    """Return the content of an .onnx file.

    Raises:
        ConversionError: the model has an operator that ONNX lacks, or tf2onnx does not write the
            operator set.
    """
    import tensorflow as tf
    import tf2onnx

    loaded = load_model(job)
    batch = job.batch_for(loaded.batch)
    function = function_of(job, loaded, batch)

    def in_order(*tensors: Any) -> list[Any]:
        outputs = function.serve(*tensors)
        return [outputs[tensor.name] for tensor in job.manifest.outputs]

    traced = tf.function(in_order, autograph=False)
    try:
        model, _ = tf2onnx.convert.from_function(
            traced, function.specs, opset=job.opset, custom_op_handlers={"Erfc": (_erfc, [])}
        )
    except ConversionError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ConversionError(
            f"tf2onnx failed: {reason[0][:300]}; try another --opset, or the target tflite"
        ) from error
    check_opset(model, job.opset)
    _refuse_unknown(model.graph, job.opset, loaded.layers)
    return Conversion({"": name_onnx(model, job.manifest_for(batch))}, batch)


def _erfc(graph: Any, node: Any, _name: str, _args: list[Any]) -> None:
    """erfc(x) = 1 - erf(x), which tf2onnx lacks; exact GELU is made with it."""
    import numpy as np
    from tf2onnx import utils

    dtype = utils.map_onnx_to_numpy_type(graph.get_dtype(node.output[0]))
    one = graph.make_const(utils.make_name("one"), np.array(1, dtype)).output[0]
    node.type = "Erf"
    graph.insert_new_node_on_output("Sub", node.output[0], inputs=[one, node.output[0]])


def _refuse_unknown(graph: Any, opset: int, layers: tuple[Any, ...]) -> None:
    """tf2onnx leaves an operator that it does not know in the graph, as it is.

    Raises:
        ConversionError: names operators and layers.
    """
    import onnx

    unknown = []
    for node in graph.node:
        if node.domain in ("", "ai.onnx") and not onnx.defs.has(node.op_type):
            layer = layer_of(node.name, layers)
            unknown.append(f"{node.op_type} (layer {layer})" if layer else node.op_type)
    if unknown:
        raise ConversionError(
            f"ONNX opset {opset} has no operator for {', '.join(sorted(set(unknown)))}; replace "
            "the layer, or write it with operations that ONNX has"
        )
