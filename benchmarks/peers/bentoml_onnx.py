"""A BentoML service of one onnxruntime session, as its documentation writes one.

    MODEL=digits.onnx PYTHON -m bentoml serve benchmarks.peers.bentoml_onnx:Digits --port PORT

POST /predict takes {"instances": [...]}, scales by SCALE and answers {"predictions": [...]}. PYTHON
is one with bentoml and onnxruntime.
"""

import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Digits:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.taken = self.session.get_inputs()[0]
        self.scale = np.float32(os.environ.get("SCALE", "1"))

    @bentoml.api
    async def predict(self, instances: list) -> dict:
        shape = [-1, *self.taken.shape[1:]]
        array = np.asarray(instances, np.float32).reshape(shape) * self.scale
        (outputs,) = self.session.run(None, {self.taken.name: array})
        return {"predictions": outputs.tolist()}
