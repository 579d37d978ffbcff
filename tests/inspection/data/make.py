"""Make the .tflite files of this folder: python tests/inspection/data/make.py (needs TensorFlow).

net, net-int8   convolution (4 filters of 3x3), dense layer of 3; float32, and int8 throughout
lstm            LSTM of 5 units over 7 steps of 3 features
loop            a loop around a product with a 4x4 matrix
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

RANDOM = np.random.default_rng(0)


def write(name, converter):
    (Path(__file__).parent / f"{name}.tflite").write_bytes(converter.convert())


def net(int8):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((4, 4, 1)),
        keras.layers.Conv2D(4, 3, padding="same", activation="relu", bias_initializer="ones"),
        keras.layers.Flatten(),
        keras.layers.Dense(3, bias_initializer="ones"),
    ])  # fmt: skip
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if int8:
        images = RANDOM.random((100, 1, 4, 4, 1), np.float32)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter


def lstm():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((7, 3), batch_size=1), keras.layers.LSTM(5)])
    return tf.lite.TFLiteConverter.from_keras_model(model)


def loop():
    module = tf.Module()
    matrix = tf.constant(RANDOM.random((4, 4), np.float32))

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32, "x")])
    def call(x):
        return {"y": tf.while_loop(lambda x: tf.reduce_sum(x) < 9, lambda x: [x @ matrix], [x])[0]}

    module.call = call
    return tf.lite.TFLiteConverter.from_concrete_functions([call.get_concrete_function()], module)


if __name__ == "__main__":
    write("net", net(int8=False))
    write("net-int8", net(int8=True))
    write("lstm", lstm())
    write("loop", loop())
