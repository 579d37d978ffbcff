"""A server as people write it by hand: FastAPI, pydantic and one onnxruntime session.

    MODEL=digits.onnx python -m benchmarks.peers.fastapi_onnx PORT

POST /predict takes {"instances": [...]}, /binary the bytes of float32; both scale by SCALE and
answer {"predictions": [...]}, /binary again bytes.
"""

import os
import sys

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

app = FastAPI()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(os.environ.get("THREADS", "1"))
session = onnxruntime.InferenceSession(
    os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
)
taken = session.get_inputs()[0]
scale = np.float32(os.environ.get("SCALE", "1"))
shape = [-1, *taken.shape[1:]]


class Body(BaseModel):
    instances: list


class Answer(BaseModel):
    predictions: list


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/predict")
async def predict(body: Body) -> Answer:
    array = np.asarray(body.instances, np.float32).reshape(shape) * scale
    (outputs,) = session.run(None, {taken.name: array})
    return Answer(predictions=outputs.tolist())


@app.post("/binary")
async def binary(request: Request) -> Response:
    array = np.frombuffer(await request.body(), np.float32).reshape(shape) * scale
    (outputs,) = session.run(None, {taken.name: array})
    return Response(outputs.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="error")
