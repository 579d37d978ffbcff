"""Vocabularies of models become members that all models of a bundle share."""

import json

import numpy as np
import pytest

from edge import steps
from tests.bundle.conftest import model, parts, signer, text_model, text_parts
from toolkit.artifacts import Golden
from toolkit.bundle.build import build
from toolkit.bundle.vocabularies import LEAST_BYTES, moved

WORDS = ["", "[UNK]", *(f"wörd{index}" for index in range(1000))]


def named(part):
    return part.manifest.preprocessing["value"][0]["vocabulary"]


def test_one_vocabulary_is_stored_once():
    (one, two), (member,) = moved([text_model("tflite", WORDS), text_model("onnx", WORDS)])
    assert named(one) == named(two) == {"member": "vocabulary.txt"}
    assert (member.name, member.kind) == ("vocabulary.txt", "vocabulary")
    assert member.content.decode().split("\n") == [*WORDS, ""]


def test_different_vocabularies_have_names_of_their_own():
    parts_, members = moved([text_model("tflite", WORDS), text_model("onnx", WORDS[::-1])])
    assert [named(each)["member"] for each in parts_] == ["vocabulary.txt", "vocabulary-2.txt"]
    assert [each.name for each in members] == ["vocabulary.txt", "vocabulary-2.txt"]


@pytest.mark.parametrize(
    "vocabulary",
    [
        ["", "[UNK]", "the"],
        [*WORDS, "\n"],  # lines cannot hold a line feed
        [*WORDS, "\ud800"],  # nor UTF-8 half of a surrogate pair
        ["x" * (LEAST_BYTES - 2)],
    ],
    ids=["small", "line feed", "surrogate", "a byte too small"],
)
def test_what_stays_inline(vocabulary):
    (part,), members = moved([text_model("tflite", vocabulary)])
    assert (named(part), members) == (vocabulary, ())


@pytest.mark.parametrize(
    "vocabulary",
    [WORDS, [*WORDS, "\r", "\u2028", " ", "\x85"], WORDS[::-1], ["x" * (LEAST_BYTES - 1)]],
)
def test_the_steps_stay_the_same(vocabulary):
    before = text_model("tflite", vocabulary)
    (after,), members = moved([before])
    assert named(after) != vocabulary
    content = {each.name: each.content for each in members}
    texts = np.array(["wörd7 wörd999 nothing", "", "\r \u2028", "x" * (LEAST_BYTES - 1)])
    run = steps.compile(after.manifest.preprocessing["value"], content.__getitem__)
    wanted = steps.apply(before.manifest.preprocessing["value"], texts)
    np.testing.assert_array_equal(run(texts), wanted)


def test_models_without_texts_are_left_as_they_are():
    given = [model("tflite"), model("onnx")]
    assert moved(given) == (tuple(given), ())


def test_ten_thousand_words_in_several_models_fit_into_a_bundle(store, opened):
    words = [f"слово{index}" for index in range(10_000)]
    inline = [text_model(target, words) for target in ("tflite", "onnx")]
    size = len(inline[0].manifest.to_json())
    assert size < 1 << 20  # one fits into its file
    models, members = moved(inline)
    read = opened(build(parts(models=models, attachments=members), [signer(1)]), store)
    assert len(json.dumps(read.manifest.value)) < 4000 < size
    content = bytes(
        read.member(read.models[1].manifest.preprocessing["value"][0]["vocabulary"]["member"])
    )
    assert content.decode().split("\n")[:-1] == words


def test_the_format_is_the_least_that_can_say_it(opened):
    def number(**changes):
        return opened(build(parts(**changes)), allow_unsigned=True).manifest.value["format"]

    whole = text_parts()
    assert number() == 1
    assert number(models=whole.models, attachments=whole.attachments) == 2
    assert number(golden=whole.golden) == 2
    small, none = moved([text_model("tflite", ["a", "b"])])
    assert number(models=small, attachments=none) == 1


@pytest.mark.parametrize(("longest", "count"), [(1, 64), (4096, 64), (8192, 32), (1 << 20, 8)])
def test_long_golden_texts_are_fewer(longest, count):
    from toolkit.bundle.stage import golden_arrays

    texts = np.array(["short", "x" * longest, *["short"] * 98], object)
    outputs = {"y": np.ones((100, 2), np.float32)}
    arrays = golden_arrays(Golden({"text": texts}, outputs, np.zeros(100)))
    assert arrays["inputs.text"].tolist() == texts[:count].tolist()
    assert arrays["inputs.text"].dtype.kind == "U"
    assert arrays["outputs.y"].shape == (count, 2)
