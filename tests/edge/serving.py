"""`edge serve` as a process, and a false runtime for it whose answers take time."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SLOW_RUNTIME = '''
"""A runtime whose invoke takes as long as its input says, in seconds."""
import time
import numpy as np

__version__ = "slow"

class Interpreter:
    def __init__(self, **options):
        self.value = np.zeros((1, 1), np.float32)

    def allocate_tensors(self):
        pass

    def get_signature_list(self):
        return {}

    def get_input_details(self):
        return [{"name": "x", "index": 0, "dtype": np.float32, "shape": np.array([1, 1]),
                 "shape_signature": np.array([1, 1])}]

    get_output_details = get_input_details

    def set_tensor(self, index, value):
        self.value = value

    def invoke(self):
        if self.value[0, 0] < 0:
            raise RuntimeError("secret of the runtime")
        time.sleep(float(self.value[0, 0]))

    def get_tensor(self, index):
        return self.value * 2
'''


class Serving:
    def __init__(self, *arguments, **environment):
        command = [sys.executable, "-m", "edge", "serve", *map(str, arguments), "--port", "0"]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on http://([\d.]+|\[[\da-f:]+\]):(\d+)\n", line)
        assert found, line + self.process.stderr.read()
        self.port = int(found[2])

    def ask(self, method, path, body=None, **headers):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        client.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = client.getresponse()
        content = answer.read()
        client.close()
        return answer.status, json.loads(content) if content else None, dict(answer.headers)

    def predict(self, value, **headers):
        return self.ask("POST", "/predict", json.dumps({"inputs": value}), **headers)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=10)
        return self.process.returncode, err
