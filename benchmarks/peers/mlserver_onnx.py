"""An MLServer server of one onnxruntime session: its documentation's custom runtime.

    MODEL=digits.onnx PYTHON -m benchmarks.peers.mlserver_onnx PORT

Speaks the Open Inference Protocol; the model is called digits and scales its only input by SCALE.
It runs in the server's own process (parallel_workers 0): with one core, worker processes cost more.
PYTHON is one with mlserver and onnxruntime.
"""

import asyncio
import os
import sys

import numpy as np
import onnxruntime
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Runtime(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.taken = self.session.get_inputs()[0].name
        self.scale = np.float32(os.environ.get("SCALE", "1"))
        return True

    async def predict(self, payload):
        array = NumpyCodec.decode_input(payload.inputs[0]) * self.scale
        (outputs,) = self.session.run(None, {self.taken: array})
        row = NumpyCodec.encode_output("logits", outputs)
        return InferenceResponse(model_name=self.name, outputs=[row])


async def main(port):
    settings = Settings(
        host="127.0.0.1",
        http_port=port,
        grpc_port=0,
        metrics_endpoint=None,
        parallel_workers=0,
        debug=False,
    )
    await MLServer(settings).start([ModelSettings(name="digits", implementation=Runtime)])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
