"""Requests that a server must refuse, each with the status and the words that say why.

`cases()` gives more than 300 kinds in both protocols for the models of tiny.py. Those that are
`pure` can be told from the body alone, and are tried on the protocols' functions as well.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.serve import bad_addresses, bad_tensors
from tests.serve.bad_json import BODIES

IMAGE = np.arange(16).reshape(4, 4, 1).tolist()
SAMPLES: dict[str, dict[str, Any]] = {
    "number": {"x": [1.5]},
    "two": {"a": [1.5, -2.0], "b": [3]},
    "image": {"pixels": IMAGE},
    "text": {"text": "a b"},
    "flag": {"on": [True, False]},
    "free": {"x": [[0.5, 1.5]]},
}
"""Model -> a good sample of each input."""

DESCRIBED = {
    ("number", "x"): "float32[n, 1]",
    ("two", "a"): "float32[n, 2]",
    ("two", "b"): "int64[n, 1]",
    ("image", "pixels"): "uint8[n, 4, 4, 1]",
    ("text", "text"): "str[n]",
    ("flag", "on"): "bool[n, 2]",
    ("free", "x"): "float32[n, any, 2]",
}


@dataclass(frozen=True)
class Case:
    """One bad request.

    name    of its kind, for the test's id
    model   that it is for
    path    with the verb, such as /v1/models/number:predict
    body    as it is sent
    words   that the error must contain
    pure    whether the protocols' functions refuse it, and not the application
    """

    name: str
    model: str
    path: str
    body: bytes
    words: tuple[str, ...]
    status: int = 400
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    pure: bool = True


def cases() -> list[Case]:
    """All kinds; their names differ."""
    return [
        *_values(),
        *_no_json(),
        *_forms(),
        *_examples(),
        *bad_addresses.cases(Case),
        *bad_tensors.cases(Case, SAMPLES, DESCRIBED, _wrong_values),
    ]


def _predict(name: str, model: str, body: Any, *words: str, verb: str = "predict") -> Case:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Case(f"{verb}-{model}-{name}", model, f"/v1/models/{model}:{verb}", content, words)


def _values() -> Iterator[Case]:
    """Values that do not fit, in row and column form."""
    for (model, name), described in DESCRIBED.items():
        good = SAMPLES[model]
        for kind, sample, word in _wrong_values(model, name):
            words = (f"input {name}", f"expected {described}", "got", word)
            bad = {**good, name: sample}
            rows = [good, bad] if kind not in ("deep", "shallow", "size", "empty") else [bad, bad]
            bare = [row[name] for row in rows]
            yield _predict(f"{name}-{kind}-rows", model, {"instances": rows}, *words, "instances")
            column = {each: [row[each] for row in rows] for each in good}
            yield _predict(f"{name}-{kind}-column", model, {"inputs": column}, *words, "inputs")
            if len(good) == 1:
                yield _predict(f"{name}-{kind}-bare", model, {"instances": bare}, *words)


def _wrong_values(model: str, name: str) -> list[tuple[str, Any, str]]:
    """(kind, a sample that the input cannot take, a word of the error)."""
    good = SAMPLES[model][name]
    if model == "text":
        return [
            ("number", 3, "3"),
            ("null", None, "null"),
            ("bool", True, "true"),
            ("object", {"c": "a"}, "an object"),
            ("base64", {"b64": "***"}, "base64"),
            ("utf8", {"b64": "/w=="}, "UTF-8"),
            ("deep", ["a"], "[2, 1]"),
        ]
    found: list[tuple[str, Any, str]] = [
        ("text", _with(good, "7"), "the text '7'"),
        ("null", _with(good, None), "null"),
        ("object", _with(good, {"b64": "AAAA"}), "an object"),
        ("deep", [good], "deep"),
        ("empty", [], "[2, 0]"),
        ("ragged", [*good, good[0]], "length"),
        ("among", [*good[:-1], [[[good[-1]]]]], "list" if model != "free" else "length"),
    ]
    if model == "flag":
        found += [("number", [1, 0], "true or false"), ("mixed", [True, 0], "true or false")]
        return [*found, ("size", [True], "[2, 1]"), ("shallow", True, "[2]")]
    found += [("bool", _with(good, True), "true"), ("shallow", 1, "[2]")]
    if model != "free":
        found.append(("size", [*good, good[0]], "[2, "))
    if model in ("number", "two", "free") and name != "b":
        return [*found, ("range", _with(good, 1e39), "range"), ("low", _with(good, -4e38), "range")]
    below, above = (-(2**63) - 2000, 2**63) if name == "b" else (-1, 256)
    return [
        *found,
        ("fraction", _with(good, 1.5), "whole"),
        ("low", _with(good, below), "range"),
        ("range", _with(good, above), "range"),
        ("huge", _with(good, 10**30), "range"),
    ]


def _with(nested: Any, value: Any) -> Any:
    """Nested lists with another last value."""
    if not isinstance(nested, list):
        return value
    return [*nested[:-1], _with(nested[-1], value)]


def _no_json() -> Iterator[Case]:
    for name, (body, word) in BODIES.items():
        yield _predict(name, "number", body, word)
        yield _predict(name, "image", body, word, verb="classify")
        yield Case(f"infer-number-{name}", "number", "/v2/models/number/infer", body, (word,))


def _forms() -> Iterator[Case]:
    """The envelope of predict."""
    rows, column = [[1.0]], {"x": [[1.0]]}
    for model in ("number", "two", "image", "text"):
        good = SAMPLES[model]
        several = len(good) > 1
        each = {name: [value] for name, value in good.items()}
        both = {"instances": [good], "inputs": each}
        yield _predict("both", model, both, "instances", "inputs", "both")
        yield _predict("neither", model, {}, "instances", "inputs", "neither")
        yield _predict("typo", model, {"instance": [good]}, "instances", "neither")
        none = ("got no samples",) if not several else ("no samples",)
        yield _predict("no-rows", model, {"instances": []}, "expected", *none)
        for kind, value in (("object", good), ("number", 1), ("text", "a"), ("null", None)):
            body = {"instances": value}
            yield _predict(f"rows-{kind}", model, body, "instances", "expected a list", "got")
        signature = {"signature_name": "other", "instances": [good]}
        words = ("signature_name", "'serving_default'", "'preprocessed'", "'other'")
        yield _predict("signature", model, signature, *words)
        yield _predict("signature-number", model, {**signature, "signature_name": 3}, *words[:3])
        extra = {**good, "zz": 1}
        words = ("no input is called 'zz'", *good)
        yield _predict("unknown-rows", model, {"instances": [good, extra]}, "instances[1]", *words)
        yield _predict("unknown-column", model, {"inputs": {**each, "zz": [1]}}, "inputs", *words)
        yield _predict("empty-column", model, {"inputs": {}}, "no value for input", *good)
        yield _predict("empty-rows", model, {"instances": [{}]}, "no value for input", *good)
    near = ("no input is called 'pixel'", "did you mean 'pixels'")
    yield _predict("near", "image", {"inputs": {"pixel": [IMAGE]}}, *near)
    for name in ("a", "b"):
        part = {name: SAMPLES["two"][name]}
        other = "b" if name == "a" else "a"
        words = (f"no value for input {other}",)
        yield _predict(f"only-{name}", "two", {"instances": [part]}, "instances[0]", *words)
        yield _predict(f"only-{name}-column", "two", {"inputs": {name: [part[name]]}}, *words)
    words = ("expected an object", "input a, b")
    yield _predict("bare", "two", {"instances": [[1.5, 2]]}, "instances[0]", *words)
    yield _predict("bare-second", "two", {"instances": [SAMPLES["two"], 1]}, "instances[1]", *words)
    yield _predict("bare-column", "two", {"inputs": [[1.5, 2]]}, *words)
    counts = {"a": [[1, 2], [3, 4]], "b": [[1]]}
    words = ("differ in the number of samples", "a has 2", "b has 1", "expected")
    yield _predict("counts", "two", {"inputs": counts}, *words)
    yield _predict("mixed-rows", "number", {"instances": [{"x": [1]}, [1]]}, "instances[1]")
    yield _predict("scalar-rows", "scalar", {"instances": [1]}, "input x", "batch axis", "'inputs'")
    yield _predict("scalar-list", "scalar", {"inputs": [1]}, "input x", "expected float32[]", "[1]")
    yield _predict("prepared-text", "text", _prepared(["a"]), "int32[n, 4]", "got [1]")
    yield _predict("prepared-word", "text", _prepared([["a", 1, 1, 1]]), "int32[n, 4]", "'a'")
    yield _predict("column-row", "number", {"inputs": rows, "instances": column}, "both")


def _prepared(rows: Any) -> dict[str, Any]:
    return {"signature_name": "preprocessed", "instances": rows}


def _examples() -> Iterator[Case]:
    """The envelope of classify and regress."""
    for verb, model in (("classify", "image"), ("classify", "text"), ("regress", "number")):
        good = SAMPLES[model]
        (name,) = good
        wrong: dict[str, tuple[Any, tuple[str, ...]]] = {
            "none": ({}, ("examples", "expected a list")),
            "instances": ({"instances": [good]}, ("examples", "expected a list")),
            "empty": ({"examples": []}, ("examples", "one at least")),
            "object": ({"examples": good}, ("examples", "expected a list")),
            "bare": ({"examples": [good[name]]}, ("examples[0]", "expected an object", name)),
            "null": ({"examples": [good, None]}, ("examples[1]", "expected an object")),
            "unknown": ({"examples": [{"zz": 1}]}, ("examples[0]", "no input is called 'zz'")),
            "missing": ({"examples": [good, {}]}, ("examples[1]", f"no value for input {name}")),
            "context": ({"examples": [good], "context": 3}, ("context", "expected an object")),
            "both": ({"examples": [good], "context": good}, ("examples[0]", "context", name)),
            "value": ({"examples": [{name: None}]}, (f"input {name}", "expected", "got")),
            "deep": ({"examples": [{name: [[[[[1]]]]]}]}, (f"input {name}", "expected", "got")),
            "nothing": ({"examples": [{name: []}]}, (f"input {name}", "expected", "got")),
            "size": ({"examples": [{name: [1, 2, 3]}]}, (f"input {name}", "expected", "got")),
            "signature": (
                {"examples": [good], "signature_name": "no"},
                ("signature_name", "'preprocessed'"),
            ),
        }
        for kind, (body, words) in wrong.items():
            yield _predict(f"examples-{kind}", model, body, *words, verb=verb)
    good = {"examples": [SAMPLES["number"]]}
    yield _predict("no-classes", "number", good, "no classes", ":predict", verb="classify")
    good = {"examples": [SAMPLES["image"]]}
    yield _predict("no-value", "image", good, "one value a sample", ":predict", verb="regress")
