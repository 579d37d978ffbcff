"""`toolkit serve` as a process, and real bundles for it."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from edge.manifest import ONNX_KEY, Manifest
from edge.tensor import Tensor
from toolkit.bundle.build import BundleParts, ModelPart, Tolerance, build
from toolkit.zipapp import edge_zipapp

ROOT = Path(__file__).parents[2]
SIDE = 4


def image_model(factor=1.0, name="shades", labels=("dark", "bright")):
    """(content, manifest): bytes [n, 4, 4, 1] to logits (-s, s) of s = mean - 0.5, times factor."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.full((SIDE * SIDE, 2), factor / (SIDE * SIDE), np.float32) * [-1, 1]
    constants = [
        numpy_helper.from_array(weights.astype(np.float32), "weights"),
        numpy_helper.from_array(np.array([0.5, -0.5], np.float32) * factor, "bias"),
        numpy_helper.from_array(np.array([-1, SIDE * SIDE], np.int64), "flat"),
    ]
    nodes = [
        helper.make_node("Reshape", ["image", "flat"], ["row"]),
        helper.make_node("Gemm", ["row", "weights", "bias"], ["logits"]),
    ]
    taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", SIDE, SIDE, 1])
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph(nodes, name, [taken], [given], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    manifest = Manifest(
        name=name,
        framework="torch",
        target="onnx",
        precision="fp32",
        inputs=(Tensor("image", (None, SIDE, SIDE, 1), "float32"),),
        outputs=(Tensor("logits", (None, 2), "float32"),),
        preprocessing={"image": [{"step": "scale", "factor": 1 / 255}]},
        decision="argmax",
        labels=labels,
    )
    helper.set_model_props(model, {ONNX_KEY: manifest.to_json()})
    return model.SerializeToString(), manifest


def expected(images, factor=1.0):
    """What `image_model` answers for bytes [n, 4, 4, 1]."""
    score = images.reshape(len(images), -1).mean(axis=1) / 255 - 0.5
    return np.stack([-score, score], axis=1) * factor


def bundle(path, *, factor=1.0, verified=True, wrong=0.0, version="1.0.0", **changes):
    """Write a bundle of `image_model`; `wrong` is added to its golden outputs."""
    content, manifest = image_model(factor, **changes)
    images = np.random.default_rng(7).integers(0, 256, (12, SIDE, SIDE, 1)).astype(np.uint8)
    outputs = expected(images, factor).astype(np.float32) + np.float32(wrong)
    parts = BundleParts(
        name=manifest.name,
        version=version,
        created=1_700_000_000,
        models=(ModelPart("model.onnx", content, manifest, Tolerance(1e-7, 1e-4, 1.0)),),
        runtime=edge_zipapp(),
        golden={"inputs.image": images, "outputs.logits": outputs},
        verified=verified,
        verification={"checks": [{"file": "model.onnx", "passed": verified, "error": 1e-7}]},
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_bytes(build(parts))
    aside.rename(path)
    return path


class Running:
    """A server process; `log` has what it told."""

    def __init__(self, *arguments, **environment):
        command = [sys.executable, "-m", "toolkit", "serve", *map(str, arguments)]
        self.process = subprocess.Popen(
            [*command[:4], "--port", "0", "--log", "json", *command[4:]],
            cwd=ROOT,
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log, self._there = [], threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = 0
        self._there.wait(90)
        for row in self.log:
            found = re.search(r":(\d+)$", row.get("address", ""))
            self.port = int(found[1]) if found else self.port

    def _read(self):
        for line in self.process.stderr:
            try:
                self.log.append(json.loads(line))
            except ValueError:
                found = re.search(r"serving address=(\S+)", line)  # of Ray Serve's form
                told = {"event": "serving", "address": found[1]} if found else {"event": "text"}
                self.log.append({**told, "text": line})
            if self.log[-1]["event"] == "serving":
                self._there.set()
        self._there.set()

    @property
    def text(self):
        """All that it told."""
        return "\n".join(row.get("text", json.dumps(row)) for row in self.log)

    def ask(self, method, path, body=None, **headers):
        """(status, value, headers); JSON values are read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, names)
            answer = connection.getresponse()
            content = answer.read()
            kind = answer.headers.get("Content-Type", "")
            value = json.loads(content) if kind == "application/json" else content
            return answer.status, value, answer.headers

    def post(self, path, body, **headers):
        return self.ask("POST", path, body, **headers)

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def end(self, number=signal.SIGTERM):
        """Stop it; its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reader.join(10)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
