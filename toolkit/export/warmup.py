"""Requests that TensorFlow Serving runs before it calls a SavedModel ready.

They lie in the SavedModel, in `assets.extra/tf_serving_warmup_requests`: a TFRecord file of
`tensorflow.serving.PredictionLog` messages. The few fields that are needed are written here, since
the package that has the message's class is needed for nothing else:

    PredictionLog.predict_log = 6   PredictLog.request = 1
    PredictRequest.model_spec = 1   PredictRequest.inputs = 2, a map: key = 1, value = 2
    ModelSpec.name = 1              ModelSpec.signature_name = 3
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from toolkit.recipe import Array

FILE = "tf_serving_warmup_requests"
SIGNATURE = "serving_default"

_BYTES = 2  # protobuf's wire type of texts, bytes and messages


def write_warmup(
    path: Path, model: str, samples: Mapping[str, Array], batch: int | None = None
) -> None:
    """Write a file of requests.

    Args:
        path: of the file, in a folder that exists.
        model: what the server calls it.
        samples: the signature's inputs by name, each [n, ...].
        batch: the fixed batch size, or None for one request of the first sample and one of all.
    """
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for inputs in _batches(samples, batch):
            tensors = {
                name: tf.make_tensor_proto(array).SerializeToString()
                for name, array in inputs.items()
            }
            writer.write(prediction_log(model, tensors))


def prediction_log(model: str, tensors: Mapping[str, bytes]) -> bytes:
    """A serialised PredictionLog; tensors are serialised TensorProtos by input name."""
    spec = _field(1, model.encode()) + _field(3, SIGNATURE.encode())
    request = _field(1, spec)
    for name in sorted(tensors):
        request += _field(2, _field(1, name.encode()) + _field(2, tensors[name]))
    return _field(6, _field(1, request))


def _batches(samples: Mapping[str, Array], batch: int | None) -> Iterator[dict[str, Array]]:
    count = len(next(iter(samples.values())))
    for size in (batch,) if batch else sorted({1, count}):
        rows = np.resize(np.arange(count), size)
        yield {name: array[rows] for name, array in samples.items()}


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
