"""Keras -> ONNX with tf2onnx."""

from typing import Any

from toolkit.builders import call_keras
from toolkit.export.job import ExportJob
from toolkit.export.keras_model import trained_model
from toolkit.export.names import name_onnx


def convert(job: ExportJob) -> bytes:
    """Return the content of an .onnx file that takes any batch size."""
    import tensorflow as tf
    import tf2onnx

    model = trained_model(job)
    specs = [
        tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name=tensor.name)
        for tensor in job.manifest.inputs
    ]

    def forward(*tensors: Any) -> Any:
        names = [tensor.name for tensor in job.manifest.inputs]
        return call_keras(model, dict(zip(names, tensors, strict=True)), training=False)

    function = tf.function(forward, input_signature=specs)
    onnx_model, _ = tf2onnx.convert.from_function(function, specs, opset=job.opset)
    return name_onnx(onnx_model, job.manifest)
