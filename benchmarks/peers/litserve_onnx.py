"""A LitServe server of one onnxruntime session, as its documentation writes one.

    MODEL=digits.onnx PYTHON -m benchmarks.peers.litserve_onnx PORT

POST /predict takes {"instances": [...]}, scales by SCALE and answers {"predictions": [...]}. PYTHON
is one with litserve, numpy and onnxruntime.
"""

import os
import sys

import litserve
import numpy as np
import onnxruntime


class Api(litserve.LitAPI):
    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.taken = self.session.get_inputs()[0]
        self.scale = np.float32(os.environ.get("SCALE", "1"))

    def decode_request(self, request):
        shape = [-1, *self.taken.shape[1:]]
        return np.asarray(request["instances"], np.float32).reshape(shape) * self.scale

    def predict(self, array):
        return self.session.run(None, {self.taken.name: array})[0]

    def encode_response(self, outputs):
        return {"predictions": outputs.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error"
    )
