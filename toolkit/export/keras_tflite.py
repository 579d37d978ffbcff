"""Keras -> TFLite with TensorFlow's own converter, builtin operators only."""

import re
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

from edge.manifest_tflite import append_to_tflite
from toolkit.errors import ConversionError
from toolkit.export.job import Conversion, ExportJob
from toolkit.export.keras_layers import layer_of
from toolkit.export.keras_model import function_of, load_model
from toolkit.export.names import name_tflite
from toolkit.models.keras import Loaded

_STEPS = 64  # of a loop that is unrolled: size and conversion time grow with them

_FIXED = (
    "takes one sample at a time, and cannot be quantised to integers: {} cannot be converted with "
    "a free batch size; --batch N fixes another"
)


def convert(job: ExportJob) -> Conversion:
    """Return the content of a .tflite file; its batch size is free where that can be converted.

    Recurrent layers are unrolled if they are short. The loop of a long one converts for a fixed
    batch size only, and the quantiser does not take it.

    Raises:
        ConversionError: the model needs an operator that devices' runtimes lack.
    """
    loaded = load_model(job)
    batch, note = job.batch_for(loaded.batch), _unroll(job, loaded)
    try:
        model = _converted(job, loaded, batch)
    except ConversionError as error:
        if batch is not None:
            raise
        batch, note = 1, _FIXED.format(_culprit(error, loaded))
        model = _converted(job, loaded, batch)
    manifest = job.manifest_for(batch)
    return Conversion({"": append_to_tflite(name_tflite(model, manifest), manifest)}, batch, note)


def _unroll(job: ExportJob, loaded: Loaded) -> str:
    """Unroll recurrent layers of few steps; what there is to say about it, or ''."""
    import keras

    recurrent = [layer for layer in loaded.layers if isinstance(layer, keras.layers.RNN)]
    steps = [tensor.shape[1] for tensor in job.manifest.inputs if len(tensor.shape) > 1]
    known = [size for size in steps if size is not None]
    if not recurrent or len(known) < len(steps) or max(known, default=1) > _STEPS:
        return ""
    for layer in recurrent:
        layer.unroll = True
    names = ", ".join(sorted({repr(layer.name) for layer in recurrent}))
    return f"recurrent layers are unrolled for the trained number of steps: {names}"


def _converted(job: ExportJob, loaded: Loaded, batch: int | None) -> bytes:
    import tensorflow as tf

    function = function_of(job, loaded, batch).frozen()
    with TemporaryDirectory() as folder:
        function.save(folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            content: bytes = converter.convert()
        except Exception as error:
            raise _explained(error, loaded.layers) from error
    return content


def _explained(error: Exception, layers: Sequence[Any]) -> ConversionError:
    text = str(error)
    operators = re.findall(r"(?:Flex|Custom) ops: ([^\n]+)", text)
    layer = layer_of(text, layers)
    place = f" in layer {layer}" if layer else ""
    if not operators:
        lines = text.strip().splitlines() or [type(error).__name__]
        return ConversionError(
            f"TensorFlow's TFLite converter failed{place}: {lines[0][:300]}", detail=text[:4000]
        )
    return ConversionError(
        f"{', '.join(operators)}{place}: not built into TFLite, so a device cannot run it; "
        "replace the layer, or write it with operations that TFLite has",
        detail=text[:4000],
    )


def _culprit(error: ConversionError, loaded: Loaded) -> str:
    layer = layer_of(error.detail, loaded.layers)
    return f"layer {layer}" if layer else "a part of the model"
