"""What is refused, by whom and how: for test_triton.py, and the list of docs/serving.md."""

from tests.serve.triton_requests import (
    ALL,
    JSON_LENGTH,
    X,
    ask,
    binary,
    get,
    image,
    number,
    out,
    packed,
    raw,
    tensor,
    texts,
    two,
)

INFER = "/v2/models/number/infer"
_HALF = tensor("x", [[1, 2, 3]], "float16")


def changed(**fields):
    """The request for `number` with other fields of its tensor."""
    row = {**number, **fields}
    return ask("number", {key: value for key, value in row.items() if value is not ...})


def body(content, headers=None):
    return "POST", INFER, content, headers or {}


SAME = {
    "model": (404, ask("none", number)),
    "version": (404, ask("number", number, path="/v2/models/number/versions/9/infer")),
    "version-word": (404, get("/v2/models/number/versions/x")),
    "metadata-model": (404, get("/v2/models/none")),
    "metadata-version": (404, get("/v2/models/number/versions/9")),
    "address": (404, get("/v2/nothing")),
    "address-slash": (404, ask("number", number, path=f"{INFER}/")),
    "method-get": (405, get(INFER)),
    "method-put": (405, ("PUT", *ask("number", number)[1:])),
    "method-post": (405, ("POST", "/v2/models/number", b"{}", {})),
    "input-name": (400, changed(name="z")),
    "output-name": (400, ask("number", number, outputs=[out("z")])),
    "datatype": (400, changed(datatype="FP64")),
    "datatype-lower": (400, changed(datatype="fp32")),
    "datatype-unknown": (400, changed(datatype="XX")),
    "shape-rank": (400, changed(shape=[2])),
    "shape-axis": (400, changed(shape=[1, 2])),
    "samples-differ": (400, ask("two", two[0], tensor("b", [[5]], "int64"))),
    "no-data": (400, changed(data=...)),
    "no-inputs": (400, ask("number")),
    "input-twice": (400, ask("number", number, number)),
    "input-missing": (400, ask("two", two[0])),
    "input-too-many": (400, ask("number", number, tensor("z", [1.0], "float32"))),
    "bytes-too-few": (400, packed("two", binary[0], ("b", binary[1][1][:1], [2, 1]))),
    "bytes-cut": (400, (*packed("two", *binary)[:2], packed("two", *binary)[2][:-1],
                        packed("two", *binary)[3])),
    "bytes-after": (400, packed("two", *binary, after=b"xx")),
    "bytes-and-data": (400, changed(parameters={"binary_data_size": 8})),
    "header-long": (400, (*packed("two", *binary)[:3], {JSON_LENGTH: "99999"})),
    "header-negative": (400, (*packed("two", *binary)[:3], {JSON_LENGTH: "-1"})),
    "header-word": (400, (*packed("two", *binary)[:3], {JSON_LENGTH: "x"})),
    "header-none": (400, (*packed("two", *binary)[:3], {})),
    "no-samples": (400, changed(shape=[0, 1], data=[])),
    "empty-body": (400, body(b"")),
    "not-gzip": (400, body(b"abc", {"Content-Encoding": "gzip"})),
    "raw-odd": (400, raw("number", b"abc")),
    "raw-several": (400, raw("two", bytes(32))),
    "text-cut": (400, packed("text", ("text", texts(b"a b")[:-1], [1]))),
    "text-missing": (400, packed("text", ("text", texts(b"a b"), [2]))),
    "text-rank": (400, ask("text", tensor("text", [["a"]], "str"))),
}  # fmt: skip
"""Name -> (the status of both, a request)."""

JSON_500 = {
    "json-cut": body(b'{"inputs": ['),
    "json-list": body(b"[1]"),
    "inputs-none": body(b"{}"),
    "inputs-null": body(b'{"inputs": null}'),
    "inputs-object": body(b'{"inputs": {"x": 1}}'),
    "id-number": ask("number", number, id=7),
    "parameters-list": ask("number", number, parameters=[]),
    "shape-negative": changed(shape=[-2, 1]),
    "data-less": changed(data=[1]),
    "data-more": changed(data=[1, 2, 3]),
    "value-text": changed(data=["a", 1]),
    "value-null": changed(data=[None, 1]),
    "value-bool": changed(data=[True, 1]),
    "value-fraction": ask("same_int8", tensor("x", [[1, 2, 1.5]], "int8")),
    "value-of-bool": ask("flag", tensor("on", [[1, 0]], "bool")),
    "value-of-text": ask("text", tensor("text", [3], "str")),
    "class-negative": ask("image", image, outputs=[out("logits", classification=-1)]),
    "binary-number": ask("two", *two, outputs=[out("twice", binary_data=1)]),
}
"""The client's fault in JSON: 400 of us, 500 of Triton."""

DIFFERENT = {
    "shared-memory": (400, 404, changed(data=..., parameters={"shared_memory_region": "r"})),
    "coding": (415, 501, body(b"abc", {"Content-Encoding": "br"})),
    "ready-model": (404, 400, get("/v2/models/none/ready")),
    "ready-version": (404, 400, get("/v2/models/number/versions/9/ready")),
    "out-of-range": (400, 200, ask("same_int8", tensor("x", [[1, 2, 300]], "int8"))),
    "above-float": (400, 200, changed(data=[1e39, 1])),
    "json-nan": (400, 200, body(ask("number", number)[2].replace(b"2.5", b"NaN"))),
    "nested-wrongly": (400, 200, changed(data=[[X[0][0], X[1][0]]])),
    "output-twice": (400, 200, ask("number", number, outputs=[out("y"), out("y")])),
    "no-size": (400, 200, ask("free", tensor("x", [[]], "float32", shape=[1, 0, 2]))),
    "json-twice": (400, 200, body(ask("number", number)[2][:-1] + b',"id":"a","id":"b"}')),
    "half-json": (200, 400, ask("same_float16", _HALF)),
    "half-json-in": (200, 400, ask("same_float16", _HALF, **ALL)),
    "parameter-object": (200, 400, ask("number", number, parameters={"foo": {"a": 1}})),
    "raw-samples": (200, 400, raw("number", bytes(8))),
    "raw-text": (200, 400, raw("text", b"a b")),
    "config": (404, 200, get("/v2/models/number/config")),
    "statistics": (404, 200, get("/v2/models/number/stats")),
    "repository": (404, 200, ("POST", "/v2/repository/index", b"{}", {})),
}
"""Name -> (our status, Triton's, a request)."""
