"""Make the .tflite files of test_micro.py: python make_models.py FOLDER (loads TensorFlow)."""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

layers = keras.layers
keras.utils.set_random_seed(1)


def save(name, model, samples=None, whole=True):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if samples is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if samples is not None and whole:
        converter.representative_dataset = lambda: ([x[None]] for x in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    (Path(sys.argv[1]) / f"{name}.tflite").write_bytes(converter.convert())


save(
    "conv",
    keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(4, 3, activation="relu"),
            layers.DepthwiseConv2D(3),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    ),
    np.random.default_rng(0).normal(size=(64, 8, 8, 1)).astype("float32"),
)
save("linear", keras.Sequential([keras.Input((1,), name="x"), layers.Dense(1)]))
save(
    "lstm",
    keras.Sequential(
        [keras.Input((7, 4), batch_size=1, name="x"), layers.LSTM(8, unroll=True), layers.Dense(3)]
    ),
)
save("dynamic", keras.Sequential([keras.Input((64,), name="x"), layers.Dense(64)]), (), False)


class TopK(layers.Layer):
    def call(self, x):
        return tf.math.top_k(x, k=2).values


save("best", keras.Sequential([keras.Input((4,), name="x"), TopK()]))
