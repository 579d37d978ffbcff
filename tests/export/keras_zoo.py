"""Keras models that converters stumble over, converted in one process."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tests.export.zoo import Case
from toolkit.models.source import ModelSource, read
from toolkit.source import RecipeSource

RANDOM = np.random.default_rng(0)
COUNT = 4


def floats(*shape):
    return RANDOM.normal(size=(COUNT, *shape)).astype(np.float32)


def ids(*shape, below=20):
    return RANDOM.integers(0, below, (COUNT, *shape)).astype(np.int32)


def saved(model, folder, suffix=".keras"):
    for weight in model.weights:  # zeros and ones would hide what is left out or mixed up
        if weight.dtype == "float32" and "seed" not in weight.path:
            noise = RANDOM.uniform(0.1, 0.5, weight.shape)
            weight.assign(weight.numpy() + noise.astype(np.float32))
    path = folder / f"source{suffix}"
    model.save(path)
    return read(str(path))


def small(shape, *body, dtype="float32", name="x"):
    return keras.Sequential([keras.Input(shape, dtype=dtype, name=name), *body])


def dictionaries(folder):
    b, a = keras.Input((3,), name="b"), keras.Input((3,), name="a")
    outputs = {"total": layers.Add()([a, b]), "apart": layers.Subtract()([b, a])}
    model = keras.Model({"b": b, "a": a}, outputs)
    return Case(
        saved(model, folder), {"b": floats(3), "a": floats(3)}, ("tflite", "onnx", "savedmodel")
    )


def lists(folder):
    b, a = keras.Input((3,), name="b"), keras.Input((3,), name="a")
    joined = layers.Concatenate()([b, a])
    outputs = [layers.Dense(3, name=name)(joined) for name in ("second", "first", "last")]
    return Case(saved(keras.Model([b, a], outputs), folder), {"a": floats(3), "b": floats(3)})


def embedding(folder):
    model = small(
        (6,), layers.Embedding(20, 4), layers.GlobalAveragePooling1D(), layers.Dense(3),
        dtype="int32", name="ids",
    )  # fmt: skip
    return Case(saved(model, folder), {"ids": ids(6)})


def image(folder):
    model = small(
        (8, 8, 3), layers.Rescaling(1 / 255), layers.Conv2D(4, 3), layers.BatchNormalization(),
        layers.DepthwiseConv2D(3, padding="same"), layers.ReLU(6.0), layers.Flatten(),
        layers.Dense(3), dtype="uint8", name="image",
    )  # fmt: skip
    return Case(saved(model, folder), {"image": ids(8, 8, 3, below=256).astype(np.uint8)})


def channels_first(folder):
    model = small((6, 8, 3), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3), name="image")
    return Case(
        saved(model, folder, ".h5"),
        {"image": floats(6, 8, 3)},
        ("tflite", "onnx", "savedmodel"),
        {"permute": {"image": (2, 0, 1)}},
    )


def lstm(folder):
    model = small((5, 3), layers.LSTM(4), layers.Dense(2))
    return Case(saved(model, folder), {"x": floats(5, 3)})


def long_lstm(folder):
    model = small((70, 3), layers.LSTM(4), layers.Dense(2))
    return Case(saved(model, folder), {"x": floats(70, 3)}, ("tflite",))


def gru(folder):
    model = small((5, 3), layers.Bidirectional(layers.GRU(4, return_sequences=True)))
    return Case(saved(model, folder), {"x": floats(5, 3)}, options={"batch": 2})


def attention(folder):
    x = keras.Input((5, 8), name="x")
    y = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    y = layers.Dense(8, activation="gelu")(y)
    return Case(saved(keras.Model(x, layers.Dense(3)(y)), folder), {"x": floats(5, 8)})


def sequence(folder):
    model = small((None, 3), layers.Conv1D(4, 3, padding="same"), layers.GlobalMaxPooling1D())
    return Case(saved(model, folder), {"x": floats(9, 3)}, free={"x": [1]})


def no_operator(folder):
    x = keras.Input((3,), name="x")
    y = keras.ops.erfinv(layers.Dense(3, activation="tanh", name="squash")(x))
    return Case(saved(keras.Model(x, y), folder), {"x": floats(3)})


def saved_model(folder):
    class Scale(tf.Module):
        def __init__(self):
            super().__init__()
            self.factor = tf.Variable([1.0, 2.0, 3.0])

        @tf.function(input_signature=[tf.TensorSpec([None, 3], name="value")])
        def __call__(self, value):
            return {"scaled": value * self.factor, "moved": value + self.factor}

    tf.saved_model.save(Scale(), str(folder / "source"))
    return Case(read(str(folder / "source")), {"value": floats(3)})


def recipe(folder):
    text = (
        "from toolkit import Recipe\n"
        "def build():\n"
        "    import keras\n"
        "    return keras.Sequential([keras.layers.Dense(4, activation='tanh'), "
        "keras.layers.Dense(2)])\n"
        "recipe = Recipe('job', dict, keras=build, output_name='y')\n"
    )
    model = keras.Sequential([layers.Dense(4, activation="tanh"), layers.Dense(2)])
    x = floats(3)
    model(x)
    model = saved(model, folder)
    source = ModelSource("recipe", "tf", model.files, recipe=RecipeSource(text, "job.py"))
    return Case(source, {"input": x}, options={"opset": 15})


def fixed_batch(folder):
    x = keras.Input(batch_shape=(2, 3), name="x")
    return Case(saved(keras.Model(x, layers.Dense(2)(x)), folder), {"x": floats(3)})


def new_opset(folder):
    model = small((3,), layers.Dense(2))
    return Case(saved(model, folder), {"x": floats(3)}, ("onnx",), {"opset": 99})


def mixed(folder):
    body = [layers.Dense(4, dtype="mixed_float16"), layers.Dense(2, dtype="mixed_float16")]
    return Case(saved(small((3,), *body), folder), {"x": floats(3)})


CASES = {
    case.__name__: case
    for case in (
        dictionaries, lists, embedding, image, channels_first, lstm, long_lstm, gru, attention,
        sequence, no_operator, saved_model, recipe, fixed_batch, new_opset, mixed,
    )
}  # fmt: skip
