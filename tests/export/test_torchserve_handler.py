"""The handler without TorchServe: requests are joined and split, and never mixed."""

import json

import numpy as np
import pytest

from edge.manifest import Manifest
from edge.model import Model
from edge.tensor import Tensor
from toolkit.export import torchserve_handler
from toolkit.export.torchserve_handler import respond


class Sum(Model):
    """y = a + the sum over b, whose length is free; counts its calls."""

    def __init__(self, batch=None, limit=None, fields=None):
        inputs = (Tensor("a", (batch, 2), "float32"), Tensor("b", (batch, None), "float32"))
        outputs = (Tensor("y", (batch, 2), "float32"),)
        fields = {"decision": "argmax", "labels": ("left", "right")} | (fields or {})
        steps = {"a": [{"step": "scale", "factor": 0.5}]}
        manifest = Manifest(
            "sum", "torch", "torchserve", "fp32", inputs, outputs, preprocessing=steps, **fields
        )
        self.limit, self.calls = limit, []
        super().__init__("model.pt2", "none", inputs, outputs, manifest)

    def _run(self, inputs):
        a, b = inputs
        self.calls.append(len(a))
        if self.limit is not None and len(a) > self.limit:
            raise RuntimeError("too many at once")
        return [a + b.sum(axis=1, keepdims=True)]


def of(a, b):
    return {"body": {"inputs": {"a": a, "b": b}}}


def test_requests_of_one_shape_are_one_call_and_each_gets_its_own():
    model = Sum()
    asked = [of([n, 0], [[n, 1, 1]]) for n in range(5)] + [of([[0, 2], [4, 0]], [[0] * 3] * 2)]
    answers = respond(model, asked)
    assert model.calls == [7]
    for n, (status, value) in enumerate(answers[:5]):
        assert status == 200
        assert value["outputs"]["y"] == [[n / 2 + n + 2, n + 2]]
        assert value["labels"] == ["left"]
    status, value = answers[5]
    assert value == {
        "outputs": {"y": [[0, 1], [2, 0]]},
        "answers": [1, 0],
        "labels": ["right", "left"],
    }
    for request, answer in zip(asked, answers, strict=True):
        assert respond(Sum(), [request]) == [answer]


def test_other_shapes_are_calls_of_their_own():
    model = Sum()
    answers = respond(model, [of([0, 0], [[1]]), of([0, 0], [[1, 1]]), of([0, 0], [[2]])])
    assert model.calls == [2, 1]
    assert [value["outputs"]["y"][0][0] for _, value in answers] == [1, 2, 2]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"body": b"{"}, "not JSON"),
        ({"body": b""}, "not JSON"),
        ({"body": [1]}, 'expected a JSON object {"inputs": ...} or {"instances": [...]}'),
        ({"body": {"inputs": 1, "instances": [1]}}, "expected a JSON object"),
        ({'{"inputs": 1}': b""}, "with Content-Type: application/json"),
        ({"body": {"inputs": [1, 2]}}, "several inputs: give an object with a, b"),
        ({"body": {"inputs": {"a": [1, 2]}}}, "no value for b float32[n, n]"),
        (of([1, 2, 3], [[1]]), "input a: expected one sample of shape [2]"),
        (of([1, "x"], [[1]]), "input a: holds something else than numbers"),
        (of([1, float("nan")], [[1]]), "input a: NaN or infinity"),
        (of([1, 2], [[1], [2, 3]]), "input b: the lists differ in length"),
        (of([[1, 2]] * 2, [[1]]), "differ in number of samples: a has 2, b has 1"),
        (of([1, 2], [[1e300]]), "input b"),
        ({"body": {"inputs": {"a": [1, 2], "b": [[1]], "c": 1}}}, "no input is called 'c'"),
        ({"body": {"instances": []}}, "instances: expected a list"),
        ({"body": {"instances": None}}, "instances: expected a list"),
        ({"body": {"inputs": None}}, "several inputs"),
        ({"body": {"inputs": {}}}, "no value for a float32[n, 2], b"),
        ({"body": {"instances": [{"a": [1, 2], "b": [1]}, {"a": [1, 2]}]}}, "number 1 has other"),
        ({"body": {"instances": [{"a": [[1, 2]] * 2, "b": [1]}]}}, "input a: expected one"),
    ],
)
def test_a_bad_request_names_its_fault_and_spares_its_mates(request_, words):
    model = Sum()
    good = of([2, 0], [[1]])
    first, (status, value), last = respond(model, [good, request_, good])
    assert status == 400
    assert words in value["error"]
    assert first == last == respond(Sum(), [good])[0]
    assert first[0] == 200


def test_whatever_goes_wrong_in_a_request_spares_its_mates(monkeypatch):
    def prepare(model, raw):
        if raw["a"][0] == 7:
            raise OverflowError("never seen before")
        return before(model, raw)

    before = torchserve_handler.prepare
    monkeypatch.setattr(torchserve_handler, "prepare", prepare)
    answers = respond(Sum(), [of([1, 2], [[1]]), of([7, 2], [[1]])])
    assert [status for status, _ in answers] == [200, 500]


def test_unlike_counts_that_add_up_are_refused():
    one, other = of([[1, 2]] * 2, [[1]]), of([[1, 2]], [[1]] * 2)
    assert [status for status, _ in respond(Sum(), [one, other])] == [400, 400]


def test_what_fails_together_is_asked_one_by_one():
    model = Sum(limit=1)
    answers = respond(model, [of([0, 0], [[1]]), of([0, 0], [[2]]), of([[0, 0]] * 2, [[3]] * 2)])
    assert model.calls == [4, 1, 1, 2]
    assert [status for status, _ in answers] == [200, 200, 500]
    assert answers[2][1] == {"error": "the model failed; the server's log says why"}


def test_an_output_of_nan_is_the_models_fault_and_one_answer_only():
    model = Sum()
    model._run = lambda inputs: [np.where(inputs[0] > 9, np.float32("nan"), inputs[0])]
    answers = respond(model, [of([1, 2], [[1]]), of([100, 100], [[1]])])
    assert [status for status, _ in answers] == [200, 500]


def test_instances_are_rows():
    rows = [{"a": [2, 0], "b": [1]}, {"a": [0, 2], "b": [2]}]
    ((status, value),) = respond(Sum(), [{"body": {"instances": rows}}])
    assert status == 200
    assert value["outputs"]["y"] == [[2, 1], [2, 3]]


def test_bytes_and_forms_are_read_as_json():
    text = json.dumps(of([2, 0], [[1]])["body"])
    bodies = [{"body": text}, {"body": bytearray(text.encode())}, {"data": text.encode()}]
    assert [status for status, _ in respond(Sum(), bodies)] == [200] * 3


def test_a_fixed_batch_is_filled_up_and_cut_again():
    model = Sum(batch=4)
    answers = respond(model, [of([n, 0], [[1]]) for n in range(6)])
    assert model.calls == [4, 4]
    assert [value["outputs"]["y"][0][0] for _, value in answers] == [n / 2 + 1 for n in range(6)]
