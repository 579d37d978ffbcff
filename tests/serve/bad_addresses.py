"""Bad requests that only the application can refuse; see bad_requests.py."""

import json


def cases(make):
    """Yield what the application refuses by address, method and header alone."""
    good = json.dumps({"instances": [[1.0]]}).encode()
    tensor = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}
    tensors = json.dumps({"inputs": [tensor]}).encode()
    paths = {
        "model": ("/v1/models/nothing:predict", "nothing"),
        "version": ("/v1/models/number/versions/99:predict", "99"),
        "label": ("/v1/models/number/labels/nothing:predict", "nothing"),
        "verb": ("/v1/models/number:guess", "guess"),
        "address": ("/v1/model/number:predict", ""),
        "large-version": ("/v1/models/number/versions/123456789012345678901:predict", ""),
    }
    for kind, (path, word) in paths.items():
        yield make(f"address-{kind}", "number", path, good, (word,), 404, pure=False)
    for path in ("/v2/models/nothing/infer", "/v2/models/number/versions/99/infer"):
        yield make(f"address-{path}", "number", path, tensors, (), 404, pure=False)
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        for path in ("/v1/models/number:predict", "/v2/models/number/infer"):
            name = f"method-{method}-{path}"
            yield make(name, "number", path, tensors, (), 405, method, pure=False)
    for value in ("x", "-1", "1.5", "9" * 30):
        headers = {"Inference-Header-Content-Length": value}
        words = ("Inference-Header-Content-Length", "expected")
        path = "/v2/models/number/infer"
        yield make(f"header-{value}", "number", path, tensors, words, headers=headers, pure=False)
