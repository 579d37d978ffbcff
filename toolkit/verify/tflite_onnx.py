"""A TFLite file as ONNX, so that a second, independent runtime can run it. Loads TensorFlow."""

import tempfile
from pathlib import Path

from edge.errors import ModelError
from edge.manifest import ONNX_KEY, read_from_tflite

OPSET = 18


def tflite_to_onnx(content: bytes) -> bytes:
    """Convert with tf2onnx; the manifest is carried over, so that names stay.

    Raises:
        ModelError: the content is not a TFLite model, or has operators that tf2onnx lacks.
    """
    import tf2onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        try:
            model, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
        except Exception as error:
            raise ModelError(f"tf2onnx cannot convert it: {str(error)[:300]}") from error
    manifest = read_from_tflite(content)
    if manifest is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = ONNX_KEY, manifest.to_json()
    converted: bytes = model.SerializeToString()
    return converted
