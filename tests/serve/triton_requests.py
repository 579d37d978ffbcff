"""Requests of the Open Inference Protocol for two servers: name -> (verb, path, body, headers)."""

import gzip
import json
import struct

import numpy as np

from toolkit.serve.oip_inputs import DATATYPES

JSON_LENGTH = "Inference-Header-Content-Length"
X = [[1.0], [2.5]]
A, B = [[1.0, 2.0], [3.0, 4.0]], [[5], [-6]]
IMAGES = np.random.default_rng(3).integers(0, 256, (2, 4, 4, 1))


def tensor(name, values, dtype, **changes):
    """A tensor of JSON; a value of ... leaves a field out."""
    made = {
        "name": name,
        "shape": list(np.shape(values)),
        "datatype": DATATYPES[dtype],
        "data": np.ravel(np.array(values, object)).tolist(),
    }
    return {key: value for key, value in {**made, **changes}.items() if value is not ...}


def ask(model, *tensors, path=None, headers=None, **more):
    body = json.dumps({"inputs": list(tensors), **more}).encode()
    return "POST", path or f"/v2/models/{model}/infer", body, headers or {}


def packed(model, *tensors, after=b"", **more):
    """The same with tensors as bytes: each is (name, array) or a tensor of JSON."""
    rows, parts = [], []
    for each in tensors:
        if isinstance(each, dict):
            rows.append(each)
            continue
        name, array, *size = each
        content = array if isinstance(array, bytes) else array.tobytes()
        shape = size[0] if size else list(array.shape)
        kind = "BYTES" if isinstance(array, bytes) else DATATYPES[array.dtype.name]
        parameters = {"binary_data_size": len(content)}
        rows.append({"name": name, "shape": shape, "datatype": kind, "parameters": parameters})
        parts.append(content)
    verb, path, body, _ = ask(model, *rows, **more)
    return verb, path, body + b"".join(parts) + after, {JSON_LENGTH: str(len(body))}


def raw(model, content):
    return "POST", f"/v2/models/{model}/infer", content, {JSON_LENGTH: "0"}


def get(path):
    return "GET", path, None, {}


def texts(*values):
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def out(name, **parameters):
    return {"name": name, "parameters": parameters}


number = tensor("x", X, "float32")
two = tensor("a", A, "float32"), tensor("b", B, "int64")
image = tensor("pixels", IMAGES, "uint8")
words = tensor("text", ["a b", "ö q"], "str")
binary = ("a", np.array(A, "<f4")), ("b", np.array(B, "<i8"))
ALL = {"parameters": {"binary_data_output": True}}
WIDE = ("float16", "float64", "int8", "int16", "int32", "uint16", "uint32", "uint64")
"""Dtypes of models that give their input back; those above are in other models."""

GOOD = {
    "json": ask("number", number),
    "id": ask("number", number, id="7-ö"),
    "id-empty": ask("number", number, id=""),
    "version": ask("number", number, path="/v2/models/number/versions/1/infer"),
    "nested": ask("number", {**number, "data": X}),
    "digits": ask("number", tensor("x", [[0.1], [1 / 3], [1e-20]], "float32")),
    "several-outputs": ask("two", *two),
    "inputs-reversed": ask("two", *two[::-1]),
    "outputs-reversed": ask("two", *two, outputs=[out("twice"), out("total")]),
    "one-output": ask("two", *two, outputs=[out("twice")]),
    "outputs-empty": ask("two", *two, outputs=[]),
    "parameters": ask("number", number, parameters={"foo": 1, "bar": "x", "priority": 1}),
    "binary-out": ask("two", *two, **ALL),
    "binary-out-one": ask("two", *two, outputs=[out("twice", binary_data=True), out("total")]),
    "binary-in": packed("two", *binary),
    "binary-in-out": packed("two", *binary, id="b", **ALL),
    "binary-and-json": packed("two", binary[1], two[0], **ALL),
    "binary-unaligned": packed("two", *binary, id="x" * 3, **ALL),
    "raw": raw("number", np.array(X[:1], "<f4").tobytes()),
    "texts": ask("text", words),
    "texts-binary": packed("text", ("text", texts(b"a b", "ö".encode(), b""), [3]), **ALL),
    "bools": ask("flag", tensor("on", [[True, False], [False, True]], "bool")),
    "bools-binary": packed("flag", ("on", np.array([[True, False]])), **ALL),
    "images": ask("image", image),
    "images-binary": packed("image", ("pixels", IMAGES.astype(np.uint8)), **ALL),
    "free-size": ask("free", tensor("x", [[[1.0, 2.0], [3.0, 4.0]]], "float32")),
    "class-none": ask("image", image, outputs=[out("logits", classification=0)]),
    **{f"class-{k}": ask("image", image, outputs=[out("logits", classification=k)])
       for k in (1, 2, 3, 9)},
    "class-binary": ask(
        "image", image, outputs=[out("logits", classification=2, binary_data=True)]
    ),
    "class-without-labels": ask(
        "two", *two, outputs=[out("total", classification=1), out("twice", classification=1)]
    ),
    "gzip": (
        "POST",
        "/v2/models/number/infer",
        gzip.compress(ask("number", number)[2]),
        {"Content-Encoding": "gzip"},
    ),
    **{f"type-{dtype}": packed(f"same_{dtype}", ("x", np.array([[1, 2, 100]], dtype)), **ALL)
       for dtype in WIDE},
    **{f"type-json-{dtype}": ask(f"same_{dtype}", tensor("x", [[1, 2, 100]], dtype))
       for dtype in WIDE if dtype != "float16"},
}  # fmt: skip
"""Answered 200 by both, with the same tensors."""
