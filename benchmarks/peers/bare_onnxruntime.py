"""Peer: the shortest script that asks an .onnx file for its answer, on one thread: MODEL NUMBER."""

import sys

import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
(taken,) = session.get_inputs()
sample = np.full([size if isinstance(size, int) else 1 for size in taken.shape], float(sys.argv[2]))
(answer,) = session.run(None, {taken.name: sample.astype(np.float32)})
print(answer.ravel()[0])
