"""Peer: the shortest script that asks a .tflite file for its answer: MODEL NUMBER."""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
(taken,) = interpreter.get_input_details()
sample = np.full(taken["shape"], float(sys.argv[2]), np.float32)
interpreter.set_tensor(taken["index"], sample)
interpreter.invoke()
print(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).ravel()[0])
