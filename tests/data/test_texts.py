"""Recipes of raw texts: what is taken, what becomes of it, what is refused and in which words."""

import pickle

import numpy as np
import pytest

from toolkit import Data, Probe, Recipe, Split, Stream
from toolkit.artifacts import Golden
from toolkit.data import evidence
from toolkit.data.load import load, preprocess, probe_inputs
from toolkit.errors import DataError

TOKENISE = {
    "step": "tokenise", "vocabulary": ["", "?", "good", "bad", "äpfel"], "length": 3,
    "unknown": 1, "padding": 0,
}  # fmt: skip
TEXTS = ["good good", "bad äpfel", "no such good thing"]
IDS = [[2, 2, 0], [3, 4, 0], [1, 1, 2]]
CLASSES = np.array([0, 1, 0])


def recipe(inputs, validation=None, **fields):
    train = Split(inputs, CLASSES)
    data = Data(train, train if validation is None else validation)
    fields = {"preprocessing": (TOKENISE,), "loss": "cross_entropy", **fields}
    return Recipe(**{"name": "job", "data": lambda: data, "torch": object, **fields})


FORMS = {
    "list": TEXTS,
    "fixed width": np.array(TEXTS),
    "a column": np.array(TEXTS)[:, None],
    "objects": np.array(TEXTS, object),
    "numpy's own texts": [np.str_(text) for text in TEXTS],
    "StringDType": np.array(TEXTS, np.dtypes.StringDType()),
}


@pytest.mark.parametrize("given", FORMS.values(), ids=FORMS)
def test_texts_become_ids_once_and_for_all(given):
    dataset = load(recipe(given))
    assert dataset.train.inputs["input"].dtype == np.int32
    assert dataset.train.inputs["input"].tolist() == IDS
    assert dataset.raw["input"].tolist() == TEXTS
    assert all(type(text) is str for text in dataset.raw["input"].tolist())
    assert dataset.sha256 == load(recipe(TEXTS)).sha256
    assert preprocess(recipe(given), dataset.raw)["input"].tolist() == IDS


def test_one_long_text_costs_its_own_length_only():
    texts = ["good"] * 3000
    texts[7] = "bad " * 5000
    split = Split(texts, np.arange(3000) % 2)
    dataset = load(recipe(TEXTS, validation=split))
    assert len(pickle.dumps(dataset)) < 1 << 20  # as <U it would be 240 MB in every process


def test_the_hash_knows_where_texts_end():
    cases = (TEXTS, ["good ", "goodbad äpfel", TEXTS[2]], ["good good", "bad apfel", TEXTS[2]])
    assert len({load(recipe(case)).sha256 for case in cases}) == 3


def test_texts_beside_numbers():
    split = Split({"text": TEXTS, "age": [1, 2, 3]}, CLASSES)
    given = recipe(
        split.inputs, preprocessing={"text": (TOKENISE,)}, probe=Probe({"text": "bad", "age": 7}, 1)
    )
    dataset = load(given)
    assert dataset.train.inputs["text"].tolist() == IDS
    assert dataset.train.inputs["age"].tolist() == [[1], [2], [3]]
    assert dataset.probe["text"].tolist() == [[3, 0, 0]]
    assert probe_inputs(given, dataset.raw)["text"].tolist() == ["bad"]


BAD = {
    "NUL": (["good", "ba\0d", "x"], "sample 1 holds a NUL character, .* remove it"),
    "surrogate": (["good", "bad", "\ud800"], "sample 2 cannot be written as UTF-8"),
    "None": (["good", None, "bad"], "sample 1 is None, which is no text"),
    "a number": (["good", 3.5, "bad"], "sample 1 is 3.5, which is no text"),
    "NaN": (np.array(["good", np.nan, "x"], object), "sample 1 is nan"),
    "bytes": ([b"good", b"bad", b"x"], "sample 0 holds bytes, .* decode them"),
    "numbers": (np.ones((3, 1)), r"sample 0 is 1\.0, which is no text"),
    "several": ([["a", "b"]] * 3, r"a text a sample, shape \[n\], not \(3, 2\)"),
    "ragged": ([["a", "b"], ["c"], ["d"]], r"sample 0 is \['a', 'b'\], which is no text"),
    "one text": ("good", r"a text a sample, shape \[n\], not \(\)"),
    "empty": ([], r"a text a sample, shape \[n\], not \(0,\)"),
}


@pytest.mark.parametrize(("given", "words"), BAD.values(), ids=BAD)
def test_what_is_no_text_is_refused(given, words):
    with pytest.raises(DataError, match=rf"split 'train', input 'input': .*{words}"):
        load(recipe(given))


@pytest.mark.parametrize("given", [TEXTS, np.array(TEXTS), np.array(TEXTS, object)])
@pytest.mark.parametrize("steps", [(), ({"step": "scale", "factor": 2},)])
def test_texts_without_tokenise_are_refused_and_told_what_to_add(given, steps):
    with pytest.raises(DataError, match=r"needs numbers, not .*begin with a 'tokenise' step"):
        load(recipe(given, preprocessing=steps))


def test_targets_and_probes_that_are_texts():
    data = Data(Split(TEXTS, TEXTS), Split(TEXTS, TEXTS))
    with pytest.raises(DataError, match="targets: needs numbers, not <U18; encode it first"):
        load(Recipe("job", lambda: data, torch=object, preprocessing=(TOKENISE,)))
    with pytest.raises(DataError, match=r"probe's input 'input': sample 0 is 4\.0, which is no"):
        load(recipe(TEXTS, probe=Probe(4.0, 1)))


def test_a_stream_of_texts_is_refused_before_anything_is_read():
    with pytest.raises(DataError, match="a Stream holds numbers only; give the texts as a Split"):
        load(recipe(TEXTS, validation=Stream(lambda: 1 / 0)))


def test_golden_vectors_keep_texts_without_pickle():
    inputs = {"text": load(recipe(TEXTS)).raw["input"]}
    content = Golden(inputs, {"y": np.ones((3, 1))}, CLASSES).to_bytes()
    back = Golden.from_bytes(content)
    assert back.inputs["text"].tolist() == TEXTS
    assert back.inputs["text"].dtype == object
    assert all(type(text) is str for text in back.inputs["text"].tolist())
    assert Golden.from_bytes(back.to_bytes()).inputs["text"].tolist() == TEXTS
    assert b"pickle" not in content


def test_samples_of_an_adopted_model_keep_texts(tmp_path):
    from toolkit.card import Card
    from toolkit.runs import Run

    run = Run.adopt(tmp_path, Card("job", preprocessing={"text": [TOKENISE]}), {})
    raw = {"text": np.array(TEXTS, object)}
    run.write(evidence.SAMPLES_FILE, evidence.to_bytes(raw, CLASSES))
    found = evidence.evidence_of(run)
    assert found.train.inputs["text"].tolist() == [IDS[0], IDS[2]]
    assert found.validation.inputs["text"].tolist() == [IDS[1]]
