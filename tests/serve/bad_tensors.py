"""Bad requests of the Open Inference Protocol; see bad_requests.py."""

import json
import math
import struct

import numpy as np

from tests.serve import bad_envelopes

TYPES = {
    "BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2,
    "INT32": 4, "INT64": 8, "FP16": 2, "FP32": 4, "FP64": 8, "BYTES": 0,
}  # fmt: skip
_OF = {"float32": "FP32", "int64": "INT64", "uint8": "UINT8", "str": "BYTES", "bool": "BOOL"}


def cases(make, samples, described, wrong_values):
    """Yield cases; `make` is the class, the rest the tables of bad_requests.py."""
    for (model, name), words in described.items():
        tensors = [
            tensor(each, described[model, each], [value]) for each, value in samples[model].items()
        ]
        bad = _Maker(make, model, name, words, tensors)
        yield from _tensors(bad)
        yield from _shapes(bad)
        yield from _bytes(bad)
        for kind, sample, word in wrong_values(model, name):
            if kind not in ("deep", "shallow", "empty", "ragged", "among"):
                yield bad(
                    f"{kind}-nested", {"data": [sample]}, "got", word if kind != "size" else ""
                )
    number = _Maker(make, "number", "x", "float32[n, 1]", [tensor("x", "float32[n, 1]", [[1.5]])])
    yield from bad_envelopes.cases(number)


def tensor(name, described, value):
    """A good tensor of JSON."""
    dtype = described.split("[")[0]
    return {
        "name": name,
        "shape": list(np.shape(value)),
        "datatype": _OF[dtype],
        "data": np.ravel(np.array(value, object)).tolist(),
    }


class _Maker:
    """Makes cases of a good request in which one tensor is changed."""

    def __init__(self, make, model, name, described, tensors):
        self.make, self.model, self.name = make, model, name
        self.described, self.tensors = described, tensors
        self.good = next(each for each in tensors if each["name"] == name)

    def __call__(self, kind, changes, *words):
        changed = {**self.good, **changes}
        changed = {key: value for key, value in changed.items() if value is not ...}
        tensors = [changed if each is self.good else each for each in self.tensors]
        return self.request(kind, {"inputs": tensors}, f"input {self.name}", "expected", *words)

    def request(self, kind, body, *words, after=None, length=None):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {}
        if after is not None or length is not None:
            known = len(content) if length is None else length
            headers = {"Inference-Header-Content-Length": str(known)}
            content += after or b""
        name = f"infer-{self.model}-{self.name}-{kind}"
        path = f"/v2/models/{self.model}/infer"
        return self.make(name, self.model, path, content, words, headers=headers)

    def binary(self, kind, changes, after, *words, size=None):
        """The tensor as bytes, and all others as JSON."""
        said = len(after) if size is None else size
        changed = {**self.good, "parameters": {"binary_data_size": said}, **changes}
        changed = {key: value for key, value in changed.items() if value is not ...}
        tensors = [changed if each is self.good else each for each in self.tensors]
        return self.request(kind, {"inputs": tensors}, *words, after=after)


def _tensors(bad):
    """Datatypes, names and data."""
    wanted = bad.good["datatype"]
    for datatype in TYPES:
        if datatype != wanted:
            words = (wanted, bad.described, "got", datatype)
            yield bad(f"datatype-{datatype}", {"datatype": datatype}, *words)
    for kind, value in (("lower", wanted.lower()), ("none", ...), ("number", 1), ("other", "BF16")):
        yield bad(f"datatype-{kind}", {"datatype": value}, "datatype", wanted, "got")
    for kind, value in (
        ("none", ...),
        ("null", None),
        ("object", {}),
        ("text", "1"),
        ("number", 1),
    ):
        yield bad(f"data-{kind}", {"data": value}, "data", "a list")
    yield bad("data-empty", {"data": []}, "values for shape", "got 0")
    yield bad("data-more", {"data": [*bad.good["data"], bad.good["data"][0]]}, "values for shape")
    others = [each for each in bad.tensors if each is not bad.good]
    twice = {"inputs": [*bad.tensors, bad.good]}
    yield bad.request("twice", twice, f"input {bad.name} is given twice")
    if others:
        yield bad.request("left-out", {"inputs": others}, f"no value for input {bad.name}")
    for kind, value in (("unknown", "zz"), ("empty", ""), ("case", bad.name.upper())):
        tensors = [*others, {**bad.good, "name": value}]
        yield bad.request(f"name-{kind}", {"inputs": tensors}, "no input is called", repr(value))
    for kind, value in (("number", 1), ("null", None), ("list", ["x"])):
        tensors = [*others, {**bad.good, "name": value}]
        yield bad.request(f"name-{kind}", {"inputs": tensors}, "name", "expected", bad.name)
    shared = {"shared_memory_region": "r", "shared_memory_byte_size": 4}
    yield bad("shared", {"data": ..., "parameters": shared}, "shared memory")
    yield bad("parameters", {"parameters": []}, "parameters", "an object")


def _shapes(bad):
    good = bad.good["shape"]
    shapes = {
        "none": ...,
        "null": None,
        "object": {},
        "number": 1,
        "text": "1",
        "empty": [],
        "longer": [*good, 1],
        "negative": [-1, *good[1:]],
        "zero": [0, *good[1:]],
        "float": [1.0, *good[1:]],
        "texts": [str(size) for size in good],
        "bool": [True, *good[1:]],
        "nested": [good],
        "null-size": [None, *good[1:]],
        "beyond": [2**64, *good[1:]],
    }
    for kind, shape in shapes.items():
        if kind != "beyond":
            yield bad(f"shape-{kind}", {"shape": shape}, "shape", bad.described, "got")
    for kind, size in (("more", 2), ("huge", 2**31), ("overflow", 2**62), ("beyond", 2**63 - 1)):
        count = size * math.prod(good[1:])
        words = ("values for shape", str(count), f"got {math.prod(good)}")
        yield bad(f"shape-{kind}", {"shape": [size, *good[1:]]}, *words)
    for axis in range(1, len(good)):
        if bad.model == "free" and axis == 1:
            continue
        shape = [*good]
        shape[axis] += 1
        yield bad(f"shape-axis-{axis}", {"shape": shape}, "shape", bad.described, "got")


def _bytes(bad):
    """Tensors after the JSON."""
    where, name = {"data": ...}, f"input {bad.name}"
    size = TYPES[bad.good["datatype"]] * math.prod(bad.good["shape"])
    if bad.model == "text":
        content = struct.pack("<I", 3) + b"a b"
        yield bad.binary("cut", where, content[:-1], name, "cut off", "expected 3", "got 2")
        yield bad.binary("cut-length", where, content[:3], name, "expected", "got 3")
        more = struct.pack("<I", 2**32 - 1) + b"a"
        yield bad.binary("long-length", where, more, name, "cut off", "4294967295")
        yield bad.binary("big-endian", where, struct.pack(">I", 3) + b"a b", name, "cut off")
        after = content + b"\0"
        yield bad.binary("one-more", where, after, name, "got 1 bytes after the last")
        utf8 = struct.pack("<I", 1) + b"\xff"
        yield bad.binary("utf8", where, utf8, name, "UTF-8", "text 0")
        two = {**where, "shape": [2]}
        more = struct.pack("<I", 5) + b"a b a"
        yield bad.binary("too-few", two, more, name, "text 1 is cut off", "expected 4")
        huge = {**where, "shape": [2**40]}
        yield bad.binary("huge", huge, content, name, f"expected {2**40} texts", "got 7")
        size = len(content)
    else:
        content = bytes(size)
        words = (name, f"expected {size} bytes", "got")
        yield bad.binary("less", where, content[:-1], *words)
        yield bad.binary("more", where, content + b"\0", *words)
        huge = {**where, "shape": [2**50, *bad.good["shape"][1:]]}
        yield bad.binary("huge", huge, content, name, f"expected {2**50 * size} bytes")
        empty = {**where, "shape": [0, *bad.good["shape"][1:]]}
        yield bad.binary("zero", empty, b"", name, "expected", "no samples")
    if bad.model == "flag":
        yield bad.binary("not-bool", where, b"\1\2", name, "expected bytes 0 or 1", "got 2")
    words = (name, "binary_data_size", "expected", "got")
    yield bad.binary("missing", where, content[:-1], *words, size=size)
    yield bad.binary("nothing", where, b"", *words, size=size)
    for kind, value in (("negative", -1), ("text", "4"), ("float", 4.0), ("bool", True)):
        yield bad.binary(f"size-{kind}", where, content, *words, size=value)
    yield bad.binary(
        "extra", where, content + b"xyz", "expected the body to end", "got 3", size=size
    )
    yield bad.binary("with-data", {}, content, name, "data or binary_data_size", "got both")
    changed = {**bad.good, "parameters": {"binary_data_size": size}}
    del changed["data"]
    tensors = [changed if each is bad.good else each for each in bad.tensors]
    words = (name, "expected the header Inference-Header-Content-Length")
    yield bad.request("no-header", {"inputs": tensors}, *words)
