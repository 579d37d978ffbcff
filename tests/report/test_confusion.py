"""Answers compared: matrices, changed samples, and files that answer alike."""

import numpy as np

from toolkit.artifacts import Golden
from toolkit.card import Card
from toolkit.report.confusion import Reference, compare, named

RNG = np.random.default_rng(0)


def one_hot(*classes, width=3):
    return np.eye(width, dtype=np.float32)[list(classes)]


def reference(outputs, targets, inputs=None, known=True, **card):
    raw = {"x": RNG.random((len(outputs), 2)) if inputs is None else inputs}
    golden = Golden(raw, {"y": outputs}, np.asarray(targets))
    return Reference(golden, Card("job", **{"decision": "argmax"} | card), known)


def test_matrices_tallies_and_samples():
    given = reference(one_hot(0, 1, 2, 2), [0, 1, 1, 2], labels=("a", "b", "c"))
    outputs = {"same": one_hot(0, 1, 2, 2) * 5, "other": one_hot(0, 2, 1, 2)}
    same, other = compare("tf", given, outputs)
    assert (same.files, same.changed, same.right) == (("same",), 0, (3, 3))
    assert (other.changed, other.right) == (2, (3, 3))
    assert other.before == ((1, 0, 0), (0, 1, 1), (0, 0, 1))
    assert other.after == ((1, 0, 0), (0, 1, 1), (0, 0, 1))
    first, second = other.samples  # what got wrong comes first
    assert (first.index, first.target, first.before, first.after) == (1, "b", "b", "c")
    assert (second.index, second.before, second.after) == (2, "c", "b")


def test_files_that_answer_alike_share_a_comparison():
    given = reference(one_hot(0, 1), [0, 1])
    outputs = {"a": one_hot(0, 0), "b": one_hot(0, 0) * 2, "c": one_hot(1, 1)}
    assert [one.files for one in compare("tf", given, outputs)] == [("a", "b"), ("c",)]


def test_nonsense_is_left_out():
    given = reference(one_hot(0, 1), [0, 1])
    outputs = {"nan": one_hot(0, 0) * np.nan, "short": one_hot(0), "flat": np.zeros(2)}
    assert compare("tf", given, outputs) == ()


def test_where_targets_are_unknown_the_model_is_the_truth():
    (one,) = compare("onnx", reference(one_hot(0, 1), [0, 0], known=False), {"f": one_hot(1, 1)})
    assert one.right is None
    assert one.before == ((1, 0, 0), (0, 1, 0), (0, 0, 0))
    assert one.after == ((0, 1, 0), (0, 1, 0), (0, 0, 0))
    assert one.samples[0].target == ""


def test_too_many_classes_make_no_matrix():
    (one,) = compare(
        "tf", reference(one_hot(0, 30, width=40), [0, 30]), {"f": one_hot(1, 2, width=40)}
    )
    assert (one.before, one.changed) == ((), 2)


def test_signs_and_values():
    yes = np.array([[1.0], [-1.0]])
    (one,) = compare("tf", reference(yes, [1, 0], decision="sign"), {"f": -yes})
    assert (one.changed, one.right, one.before) == (2, (2, 0), ((1, 0), (0, 1)))
    given = reference(yes, [1.0, 0.0], decision="value", tolerance=0.5)
    near, far = compare("tf", given, {"near": yes + 0.4, "far": yes + np.array([[0.0], [2.0]])})
    assert (near.changed, far.changed, far.before, far.right) == (0, 1, (), None)
    assert (far.samples[0].before, far.samples[0].after) == ("-1", "1")


def test_samples_are_pictures_series_texts_or_numbers():
    def sample(inputs):
        given = reference(one_hot(0, 1), [0, 1], inputs=inputs)
        return compare("tf", given, {"f": one_hot(1, 1)})[0].samples[0]

    assert sample(RNG.random((2, 8, 8, 1))).picture.startswith(b"\x89PNG")
    assert len(sample(RNG.random((2, 300, 1))).series) == 150
    assert sample(np.array(["<b>" * 50, "b"], object)).told.endswith("...")
    assert sample(np.array([[1.5, 2.0], [3.0, 4.0]])).told == "1.5, 2"


def test_names():
    assert named(1, ("a", "b")) == "b"
    assert named(7, ("a", "b")) == "7"
    assert named(np.array([0.5, 1.5]), None) == "0.5, 1.5"
