"""Make the .tflite files of this folder: python tests/edge/data/make.py (needs TensorFlow).

double   y = 2x, any number of samples
fixed    y = 2x, batches of exactly two samples
two      inputs a and b, outputs total = a + b and apart = b - a
int8     y = 2x where x and y are int8 that stand for -1 to 1 and -2 to 2
flex     an operation that needs TensorFlow itself
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf


def write(name, function, *inputs, flex=False, int8=False):
    module = tf.Module()
    module.call = tf.function(function, input_signature=inputs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.call.get_concrete_function()], module
    )
    if flex:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        samples = np.linspace(-1, 1, 100, dtype=np.float32)
        converter.representative_dataset = lambda: ({"x": x.reshape(1, 1)} for x in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    (Path(__file__).parent / f"{name}.tflite").write_bytes(converter.convert())


def spec(name, *shape):
    return tf.TensorSpec(shape, tf.float32, name)


if __name__ == "__main__":
    write("double", lambda x: {"y": 2.0 * x}, spec("x", None, 1))
    write("fixed", lambda x: {"y": 2.0 * x}, spec("x", 2, 1))
    write(
        "two",
        lambda a, b: {"total": a + b, "apart": b - a},
        spec("a", None, 2),
        spec("b", None, 2),
    )
    write("int8", lambda x: {"y": 2.0 * x}, spec("x", None, 1), int8=True)
    write("flex", lambda x: {"y": tf.linalg.inv(x)}, spec("x", None, 2, 2), flex=True)
