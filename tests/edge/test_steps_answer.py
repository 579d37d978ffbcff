"""Steps on the way from raw values to answers, with real model files."""

import gc

import numpy as np
import pytest

from edge import answer as answering
from edge import steps
from edge.answer import answer, prepare
from edge.errors import ModelError
from edge.runtime import load
from edge.tensor import Tensor

TOKENISE = {
    "step": "tokenise",
    "vocabulary": ["no", "yes"],
    "length": 1,
    "unknown": 7,
    "padding": 9,
}


def test_texts_go_in(double, describe):
    chain = [TOKENISE, {"step": "cast", "dtype": "float32"}]
    model = load(double(manifest=describe(preprocessing={"value": chain})))
    for raw in (np.array(["yes", "", "who"]), np.array([["yes"], [""], ["who"]])):
        assert answer(model, {"value": raw}).answers.tolist() == [2, 18, 14]
    assert answer(model, {"value": np.array("yes")}).answers.tolist() == [2]


def test_the_first_output_is_processed(double, describe):
    chain = [{"step": "scale", "factor": 0.5}, {"step": "threshold", "above": 1.5}]
    model = load(double(manifest=describe(postprocessing=chain)))
    answers = answer(model, {"value": np.array([[1.0], [2.0]])})
    assert answers.outputs["twice"].tolist() == [[2], [4]]
    assert answers.answers.tolist() == [2, 4]
    assert answers.processed.tolist() == [[0], [1]]


def test_without_postprocessing_nothing_is_processed(double, describe):
    raw = np.ones((1, 1))
    assert answer(load(double()), {"x": raw}).processed is None
    assert answer(load(double(manifest=describe())), {"value": raw}).processed is None


def test_postprocessing_that_does_not_fit_is_the_manifests_fault(double, describe):
    model = load(double(manifest=describe(postprocessing=[{"step": "top_k", "k": 2}])))
    with pytest.raises(ModelError, match=r"postprocessing: step 0 \(top_k\): .*k is 2"):
        answer(model, {"value": np.ones((1, 1))})


def test_steps_are_compiled_once_for_an_open_model(tflite, describe, monkeypatch):
    made = []
    compiled = steps.compile
    monkeypatch.setattr(
        steps, "compile", lambda chain, member=None: made.append(chain) or compiled(chain)
    )
    before, after = [{"step": "scale", "factor": 2}], [{"step": "sigmoid"}]
    model = load(tflite(manifest=describe(preprocessing={"value": before}, postprocessing=after)))
    for _ in range(3):
        answer(model, {"value": np.ones((1, 1))})
        prepare(model, {"value": np.ones((1, 1))})
    assert made == [before, after]
    count = len(answering._COMPILED)
    del model
    gc.collect()
    assert len(answering._COMPILED) == count - 1


def test_a_free_size_is_taken_as_it_comes(tflite, describe):
    crop = [{"step": "crop", "size": [1]}]
    inputs = (Tensor("value", (None, 1), "float32"),)
    model = load(tflite(manifest=describe(inputs=inputs, preprocessing={"value": crop})))
    assert answer(model, {"value": np.array([1.0, 5.0, 3.0])}).answers.tolist() == [10]
    assert answer(model, {"value": np.array([[1.0, 2.0], [3.0, 4.0]])}).answers.tolist() == [2, 6]
