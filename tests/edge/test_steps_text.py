import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import steps
from edge.errors import InputError

STEP = {
    "step": "tokenise",
    "vocabulary": ["", "?", "the", "cat", "sat", "äpfel", "2nd"],
    "length": 4,
    "unknown": 1,
    "padding": 0,
}


def ids(*texts, **changes):
    return steps.apply([{**STEP, **changes}], np.array(texts)).tolist()


@pytest.mark.parametrize("split", ["whitespace", "character"])
def test_ids_are_those_of_keras(data, split):
    golden = np.load(data / "steps_tf.npz")
    step = {**STEP, "vocabulary": golden["vocabulary"].tolist(), "length": 6}
    step["split"] = {"character": "characters"}.get(split, split)
    made = steps.apply([step], golden["texts"])
    assert made.dtype == np.int32
    np.testing.assert_array_equal(made, golden[f"ids.{split}"])


def test_words_are_runs_of_letters_and_digits():
    assert ids("the_cat, sat!", "2nd-äpfel's") == [[2, 3, 4, 0], [6, 5, 1, 0]]
    assert ids("THE Cat ÄPFEL", lower=True) == [[2, 3, 5, 0]]
    assert ids("THE Cat") == [[1, 1, 0, 0]]


def test_which_end_is_cut_off():
    assert ids("the cat sat the end", truncate="end") == [[2, 3, 4, 2]]
    assert ids("the cat sat the end", truncate="begin") == [[3, 4, 2, 1]]
    assert ids("cat", truncate="begin", padding=9) == [[3, 9, 9, 9]]


@pytest.mark.parametrize(
    "batch",
    [np.array(["cat", "sat"]), np.array([["cat"], ["sat"]]), np.array(["cat", "sat"], object)],
)
def test_a_batch_of_texts(batch):
    assert steps.apply([STEP], batch).tolist() == [[3, 0, 0, 0], [4, 0, 0, 0]]


REFERENCE = {
    "words": lambda text: re.sub(r"[\W_]", " ", text).split(),
    "whitespace": str.split,
    "characters": list,
}


@given(st.text(max_size=40), st.sampled_from(sorted(REFERENCE)), st.booleans(), st.booleans())
def test_the_rules(text, split, lower, begin):
    found = REFERENCE[split](text.lower() if lower else text)
    vocabulary = sorted(set(found)) or ["x"]
    step = {**STEP, "vocabulary": vocabulary, "split": split, "lower": lower, "padding": 999}
    step["truncate"] = "begin" if begin else "end"
    made = steps.apply([step], np.array([text], object))[0].tolist()
    kept = [vocabulary.index(token) for token in (found[-4:] if begin else found[:4])]
    assert made == kept + [999] * (4 - len(kept))


def test_a_vocabulary_may_be_a_member():
    step = {**STEP, "vocabulary": {"member": "words.txt"}}
    steps.check([step])
    run = steps.compile([step], {"words.txt": "the\ncat\n\näpfel\n".encode()}.__getitem__)
    assert run(np.array(["äpfel cat dog"])).tolist() == [[3, 1, 1, 0]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff", "words.txt: cannot be read: .*utf-8"),
        (b"a\na\n", "words.txt: vocabulary holds 'a' twice"),
        (b"x" * (1 << 23), "words.txt: cannot be read: 8388608 bytes, over the limit of 4194304"),
        (None, "words.txt: cannot be read"),
    ],
)
def test_a_bad_member_is_named(content, words):
    step = {**STEP, "vocabulary": {"member": "words.txt"}}
    members = {} if content is None else {"words.txt": content}
    with pytest.raises(InputError, match=rf"step 0 \(tokenise\): vocabulary {words}"):
        steps.compile([step], members.__getitem__)


def test_a_member_needs_a_bundle():
    with pytest.raises(InputError, match=r"vocabulary w\.txt: is a file of a bundle"):
        steps.apply([{**STEP, "vocabulary": {"member": "w.txt"}}], np.array(["a"]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vocabulary": []}, "vocabulary is []"),
        ({"vocabulary": "abc"}, "vocabulary is 'abc', not a list of texts"),
        ({"vocabulary": ["a", 1]}, "vocabulary holds 1, not a text"),
        ({"vocabulary": ["a", "b", "a"]}, "vocabulary holds 'a' twice"),
        ({"vocabulary": ["a"] * 300_000}, "300000 tokens, over the limit of 262144"),
        ({"vocabulary": {"member": "../x"}}, "not an object with a member"),
        ({"vocabulary": {"file": "x"}}, "not an object with a member"),
        ({"length": 1 << 20}, "length is 1048576"),
        ({"length": True}, "length is True"),
        ({"unknown": -1}, "unknown is -1"),
        ({"padding": 1 << 31}, "padding is 2147483648"),
        ({"split": "[a-z]+"}, "split '[a-z]+' is not one of words, whitespace, characters"),
        ({"lower": "yes"}, "lower is 'yes'"),
        ({"truncate": "middle"}, "truncate 'middle' is not one of"),
    ],
)
def test_a_wrong_field_is_named(changes, words):
    with pytest.raises(InputError) as caught:
        steps.check([{**STEP, **changes}])
    assert "step 0 (tokenise): " in str(caught.value)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 250


def test_texts_come_first():
    with pytest.raises(InputError, match=r"step 1 \(tokenise\): must be the first step"):
        steps.check([{"step": "scale", "factor": 1}, STEP])
    with pytest.raises(InputError, match=r"step 0 \(scale\): <U1 holds no numbers; texts need"):
        steps.apply([{"step": "scale", "factor": 1}], np.array(["1"]))


@pytest.mark.parametrize("batch", [np.array([1.5]), np.array(["a", None]), np.array([b"a"])])
def test_what_is_no_text_is_named(batch):
    with pytest.raises(InputError, match="is no text"):
        steps.apply([STEP], batch)


def test_several_texts_a_sample_are_refused():
    with pytest.raises(InputError, match=r"samples of shape \[2\]: one text a sample"):
        steps.apply([STEP], np.array([["a", "b"]]))


def test_ids_become_one_hot_rows():
    chain = [STEP, {"step": "one_hot", "depth": 7}]
    made = steps.apply(chain, np.array(["cat", "the"]))
    assert (made.shape, made.dtype) == ((2, 4, 7), np.float32)
    assert made.argmax(-1).tolist() == [[3, 0, 0, 0], [2, 0, 0, 0]]
