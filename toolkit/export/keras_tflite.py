"""Keras -> TFLite with TensorFlow's own converter, builtin operators only."""

from typing import Any

from edge.manifest import append_to_tflite
from toolkit.builders import call_keras
from toolkit.errors import ConversionError
from toolkit.export.job import ExportJob
from toolkit.export.keras_model import trained_model
from toolkit.export.names import name_tflite


def convert(job: ExportJob) -> bytes:
    """Return the content of a .tflite file that takes any batch size.

    Raises:
        ConversionError: the model needs an operator that devices' runtimes lack.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(_positional(trained_model(job), job))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        model = converter.convert()
    except Exception as error:
        if "Flex" not in str(error) and "custom op" not in str(error):
            raise
        raise ConversionError(
            "the model needs operators that are not built into TFLite; replace the layers that "
            "use them",
            detail=str(error)[:2000],
        ) from error
    return append_to_tflite(name_tflite(model, job.manifest), job.manifest)


def _positional(model: Any, job: ExportJob) -> Any:
    """The model with a list of named inputs; the converter fails on a dictionary."""
    import keras

    if len(job.manifest.inputs) == 1:
        return model
    inputs = {
        tensor.name: keras.Input(tensor.shape[1:], name=tensor.name, dtype=tensor.dtype)
        for tensor in job.manifest.inputs
    }
    return keras.Model(list(inputs.values()), call_keras(model, inputs, training=False))
