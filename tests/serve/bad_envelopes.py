"""Bad requests of the Open Inference Protocol but for their tensors; see bad_requests.py."""

import json


def cases(bad):
    """Yield cases; `bad` makes them of a good request, see bad_tensors.py."""
    yield from _requests(bad)
    yield from _outputs(bad)
    yield from _raw(bad.make)


def _requests(bad):
    """The envelope of a request."""
    good = {"inputs": [bad.good]}
    for kind, value in (("none", {}), ("null", {"inputs": None}), ("empty", {"inputs": []})):
        yield bad.request(f"inputs-{kind}", value, "inputs", "expected a list")
    for kind, value in (("object", {"x": [1]}), ("text", "x"), ("number", 1)):
        yield bad.request(f"inputs-{kind}", {"inputs": value}, "inputs", "expected a list")
    for kind, value in (("list", [1]), ("null", None), ("text", "x")):
        body = {"inputs": [value]}
        yield bad.request(f"tensor-{kind}", body, "inputs[0]", "expected an object")
    for kind, value in (("number", 7), ("null", None), ("list", ["a"])):
        yield bad.request(f"id-{kind}", {**good, "id": value}, "id", "expected a text")
    for kind, value in (("list", []), ("text", "x"), ("number", 0)):
        body = {**good, "parameters": value}
        yield bad.request(f"parameters-{kind}", body, "parameters", "expected an object")
    for name in ("preprocessed", "binary_data_output"):
        for value in (1, "true", None, []):
            body = {**good, "parameters": {name: value}}
            kind = f"{name}-{type(value).__name__}"
            yield bad.request(kind, body, name, "expected true or false", "got")
    words = ("Inference-Header-Content-Length", "expected", "got")
    yield bad.request("header-long", good, *words, length=len(json.dumps(good)) + 1)
    yield bad.request("header-short", good, "JSON", length=5)
    yield bad.request("header-extra", good, "expected the body to end", "got 4", after=bytes(4))


def _outputs(bad):
    """What is asked for."""
    good = {"inputs": [bad.good]}
    for kind, value in (("object", {"name": "y"}), ("text", "y"), ("number", 1)):
        body = {**good, "outputs": value}
        yield bad.request(f"outputs-{kind}", body, "outputs", "expected a list")
    for kind, value in (("text", "y"), ("empty", {}), ("number", {"name": 1})):
        body = {**good, "outputs": [value]}
        yield bad.request(f"output-{kind}", body, "outputs[0]", "expected an object", "y")
    body = {**good, "outputs": [{"name": "y"}, {"name": "z"}]}
    yield bad.request("output-unknown", body, "outputs[1]", "no output is called 'z'", "y")
    body = {**good, "outputs": [{"name": "y"}, {"name": "y"}]}
    yield bad.request("output-twice", body, "outputs[1]", "output y is asked for twice")
    for name, values in (("binary_data", (1, "true")), ("classification", (-1, 1.5, "2", True))):
        for value in values:
            body = {**good, "outputs": [{"name": "y", "parameters": {name: value}}]}
            yield bad.request(f"output-{name}-{value}", body, "outputs[0]", name, "expected", "got")
    body = {**good, "outputs": [{"name": "y", "parameters": 1}]}
    yield bad.request("output-parameters", body, "outputs[0]", "parameters", "expected")


def _raw(make):
    """Bodies without JSON."""
    bodies = {
        "number": (("empty", b""), ("odd", b"abc"), ("more", b"abcde")),
        "image": (("empty", b""), ("less", bytes(15)), ("more", bytes(17))),
        "flag": (("odd", b"\1"), ("value", b"\1\2")),
        "free": (("odd", bytes(12)), ("empty", b"")),
        "scalar": (("more", bytes(8)), ("empty", b"")),
        "text": (("utf8", b"\xff"),),
    }
    inputs = {"number": "x", "image": "pixels", "flag": "on", "free": "x", "scalar": "x"}
    for model, wrong in bodies.items():
        for kind, body in wrong:
            words = (f"input {inputs.get(model, 'text')}", "expected", "got")
            yield _without_json(make, model, kind, body, words)
    yield _without_json(make, "two", "several", bytes(8), ("a, b", "expected JSON", "got"))


def _without_json(make, model, kind, body, words):
    headers = {"Inference-Header-Content-Length": "0"}
    path = f"/v2/models/{model}/infer"
    return make(f"raw-{model}-{kind}", model, path, body, words, headers=headers)
