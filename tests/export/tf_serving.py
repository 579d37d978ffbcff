"""A SavedModel as TensorFlow Serving uses it. Runs in a child process, which holds TensorFlow."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

SAMPLES = {
    "ids": np.arange(8, dtype=np.int64).reshape(2, 4),
    "mask": np.array([[True], [False]]),
}
"""Of a made-up model with two inputs."""


@dataclass(frozen=True)
class Request:
    """A warm-up request: the model's and the signature's name, inputs and what they get."""

    model: str
    signature: str
    inputs: dict
    outputs: dict


@dataclass(frozen=True)
class Found:
    """What there is in a SavedModel.

    outputs   of its signature, for the inputs that were given
    warm_up   its requests; None where TensorFlow Serving's messages are not installed
    filled    inputs of the requests that are made of SAMPLES, by their batch size; None likewise
    """

    outputs: dict
    warm_up: list[Request] | None
    filled: dict[int | None, list[dict]] | None


def look(folder: Path, inputs: dict, scratch: Path) -> Found:
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))
    signature = model.signatures["serving_default"]

    def answers(given):
        tensors = {name: tf.constant(array) for name, array in given.items()}
        return {name: value.numpy() for name, value in signature(**tensors).items()}

    outputs = answers(inputs)
    if find_spec("tensorflow_serving") is None:
        return Found(outputs, None, None)
    warm_up = []
    for request in _requests(folder / "assets.extra" / "tf_serving_warmup_requests"):
        given, spec = _inputs(request), request.model_spec
        warm_up.append(Request(spec.name, spec.signature_name, given, answers(given)))
    return Found(outputs, warm_up, {batch: _filled(scratch, batch) for batch in (5, None)})


def _requests(path: Path) -> list:
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    found = []
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.SerializeToString(deterministic=True) == record.numpy()  # nothing unknown in it
        found.append(log.predict_log.request)
    return found


def _inputs(request) -> dict:
    import tensorflow as tf

    return {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}


def _filled(scratch: Path, batch: int | None) -> list[dict]:
    from toolkit.export.warmup import write_warmup

    write_warmup(scratch / "requests", "net", SAMPLES, batch)
    return [_inputs(request) for request in _requests(scratch / "requests")]
