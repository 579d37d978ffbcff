"""Peer: the shortest script that asks an ONNX file for its answer: MODEL NUMBER."""

import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
sample = np.array([[float(sys.argv[2])]], np.float32)
(answer,) = session.run(None, {session.get_inputs()[0].name: sample})
print(answer[0, 0])
