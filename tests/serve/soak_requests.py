"""Good requests with random inputs, and whether an answer is the right one for its own input."""

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.serve.running import SIDE, expected
from tests.serve.soak_models import MIXING, WIDTH
from tests.serve.triton_model import compute

JSON_LENGTH = "Inference-Header-Content-Length"


class WrongAnswerError(Exception):
    """An answer is not the one for its input."""


@dataclass(frozen=True)
class Question:
    """A request and what it must give.

    Attributes:
        kind: for the count.
        model: which one.
        path: where it is sent.
        body: as it is sent.
        headers: of it.
        read: from an answer's headers and body to outputs by name.
        right: outputs by name; times the version's number where the model has versions.
    """

    kind: str
    model: str
    path: str
    body: bytes
    headers: dict[str, str]
    read: Any
    right: dict[str, Any]

    def check(self, headers, content, versions):
        """Raises WrongAnswerError unless it is the answer of one of `versions`; which one."""
        try:
            outputs, told = self.read(headers, content)
        except (KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
            raise WrongAnswerError(
                f"{self.kind} {self.model}: {error!r} {content[:200]}"
            ) from error
        may = versions if told is None else [number for number in versions if number == told]
        for number in may:
            if self._is(outputs, number):
                return number
        was = {name: np.asarray(value).tolist() for name, value in outputs.items()}
        raise WrongAnswerError(
            f"{self.kind} {self.model}: {was} of version {told}, none of {versions} times "
            f"{ {name: value.tolist() for name, value in self.right.items()} }"
        )

    def _is(self, outputs, number):
        if outputs.keys() != self.right.keys():
            return False
        factor = number if self.model in ("shades", "heavy") else 1
        for name, value in self.right.items():
            wanted, got = value * factor, np.asarray(outputs[name])
            if got.shape != wanted.shape:
                return False
            if not np.allclose(got, wanted, rtol=1e-5, atol=2e-6 * factor):
                return False
        return True


def random_question(random):
    """One of all models and forms; `random` is numpy's generator."""
    model = random.choice(["shades", "heavy", "two", "number", "text", "image"])
    inputs, right = _values(str(model), int(random.integers(1, 5)), random)
    kinds = [_rows, _columns, _json_tensors]
    if model != "text":
        kinds.append(_binary)
    return kinds[random.integers(len(kinds))](str(model), inputs, right)


def heavy_questions(random, count):
    """Some for the heavy model, to be asked at once: they are joined."""
    made = [_values("heavy", int(random.integers(1, 4)), random) for _ in range(count)]
    return [_binary("heavy", inputs, right) for inputs, right in made]


def _values(model, n, random):
    """(inputs, right outputs) by name, of n samples."""
    if model == "shades":
        images = random.integers(0, 256, (n, SIDE, SIDE, 1)).astype(np.uint8)
        return {"image": images}, {"logits": expected(images)}
    if model == "heavy":
        x = random.integers(-50, 51, (n, WIDTH)).astype(np.float32)
        return {"x": x}, {"y": x @ MIXING}
    if model == "two":
        inputs = {
            "a": random.integers(-999, 999, (n, 2)).astype(np.float32),
            "b": random.integers(-(2**20), 2**20, (n, 1)),
        }
    elif model == "number":
        inputs = {"x": random.integers(-999, 999, (n, 1)).astype(np.float32)}
    elif model == "text":
        words = [" ".join(random.choice(["a", "b", "ö", "q"], 3)) for _ in range(n)]
        return {"text": words}, compute("text", {"text": np.array([w.encode() for w in words])})
    else:
        inputs = {"pixels": random.integers(0, 256, (n, 4, 4, 1)).astype(np.uint8)}
    return inputs, compute(model, inputs)


def _listed(inputs):
    return {name: np.asarray(value).tolist() for name, value in inputs.items()}


def _rows(model, inputs, right):
    listed = _listed(inputs)
    rows = [dict(zip(listed, values, strict=True)) for values in zip(*listed.values(), strict=True)]
    body = json.dumps({"instances": rows}).encode()

    def read(_, content):
        found = json.loads(content)["predictions"]
        if len(right) == 1:
            return {next(iter(right)): found}, None
        return {name: [row[name] for row in found] for name in right}, None

    return Question("rows", model, f"/v1/models/{model}:predict", body, {}, read, right)


def _columns(model, inputs, right):
    body = json.dumps({"inputs": _listed(inputs)}).encode()

    def read(_, content):
        found = json.loads(content)["outputs"]
        return (found if len(right) > 1 else {next(iter(right)): found}), None

    return Question("columns", model, f"/v1/models/{model}:predict", body, {}, read, right)


_TYPES = {"float32": "FP32", "int64": "INT64", "uint8": "UINT8"}


def _tensor(name, value):
    array = np.asarray(value)
    kind = _TYPES.get(array.dtype.name, "BYTES")
    return {"name": name, "shape": list(array.shape), "datatype": kind}


def _read_tensors(headers, content):
    length = headers.get(JSON_LENGTH)
    end = int(length) if length else len(content)
    answer, outputs = json.loads(content[:end]), {}
    for row in answer["outputs"]:
        size = row.get("parameters", {}).get("binary_data_size")
        data = row.get("data")
        if size is not None:
            dtype = {"FP32": "<f4", "INT64": "<i8"}[row["datatype"]]
            data, end = np.frombuffer(content[end : end + size], dtype), end + size
        outputs[row["name"]] = np.reshape(data, row["shape"])
    return outputs, int(answer["model_version"])


def _json_tensors(model, inputs, right):
    tensors = [
        {**_tensor(name, value), "data": np.asarray(value).ravel().tolist()}
        for name, value in inputs.items()
    ]
    body = json.dumps({"inputs": tensors}).encode()
    path = f"/v2/models/{model}/infer"
    return Question("tensors", model, path, body, {}, _read_tensors, right)


def _binary(model, inputs, right):
    parts = [np.ascontiguousarray(value).tobytes() for value in inputs.values()]
    tensors = [
        {**_tensor(name, value), "parameters": {"binary_data_size": len(part)}}
        for (name, value), part in zip(inputs.items(), parts, strict=True)
    ]
    head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    headers = {JSON_LENGTH: str(len(head))}
    path = f"/v2/models/{model}/infer"
    return Question("binary", model, path, head + b"".join(parts), headers, _read_tensors, right)
