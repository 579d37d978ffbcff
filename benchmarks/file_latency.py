"""Time of one call of two model files, in turns in one process of one thread each.

    python -m benchmarks.file_latency OURS PEER [--seconds 2]

Calls alternate, so that noise meets both alike. Takes .tflite (LiteRT) and .onnx (onnxruntime);
a free axis becomes 1. Prints a JSON list: the median time of each file in seconds.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.harness import PYTHON, run

WARM_UP = 20
LEAST = 50  # calls of each


def speeds(ours: str, peer: str, seconds: float) -> tuple[float, float]:
    """Calls a second of two files, measured in a process of their own."""
    command = [PYTHON, "-m", "benchmarks.file_latency", ours, peer, "--seconds", str(seconds)]
    done = run(command, {"OMP_NUM_THREADS": "1"})
    mine, theirs = json.loads(done.stdout.splitlines()[-1])
    return 1 / mine, 1 / theirs


def caller(path: str) -> Callable[[], Any]:
    """A function that runs a file once on the same random sample."""
    return _tflite(path) if path.endswith(".tflite") else _onnx(path)


def _tflite(path: str) -> Callable[[], Any]:
    from ai_edge_litert.interpreter import Interpreter

    runtime = Interpreter(path, num_threads=1)
    runtime.allocate_tensors()
    (taken,), outputs = runtime.get_input_details(), runtime.get_output_details()
    sample = _sample(taken["shape"], taken["dtype"])

    def call() -> Any:
        runtime.set_tensor(taken["index"], sample)
        runtime.invoke()
        return [runtime.get_tensor(each["index"]) for each in outputs]

    return call


def _onnx(path: str) -> Callable[[], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    shape = [size if isinstance(size, int) else 1 for size in taken.shape]
    dtype = {"tensor(float)": np.float32, "tensor(int32)": np.int32}[taken.type]
    return partial(session.run, None, {taken.name: _sample(shape, dtype)})


def _sample(shape: Any, dtype: Any) -> Any:
    return np.random.default_rng(0).random([max(1, size) for size in shape]).astype(dtype)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs=2)
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    calls = [caller(path) for path in given.files]
    for _ in range(WARM_UP):
        for call in calls:
            call()
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + given.seconds
    while len(times[0]) < LEAST or time.perf_counter() < end:
        for call, taken in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    print(json.dumps([statistics.median(each) for each in times]))


if __name__ == "__main__":
    main()
