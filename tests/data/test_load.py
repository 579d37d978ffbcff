"""What `load` makes of good data, and how it refuses bad data, naming split and field."""

import numpy as np
import pytest

from toolkit import Data, PerFramework, Probe, Recipe, Split
from toolkit.data.load import Samples, load, preprocess, probe_inputs
from toolkit.errors import DataError

X = np.array([[1.0], [2.0], [3.0]], np.float32)
HALVE = {"step": "scale", "factor": 0.5}


def recipe(train, validation=None, **fields):
    """A recipe over these splits; validation is the training split unless given."""
    data = Data(train, train if validation is None else validation)
    return Recipe(**{"name": "job", "data": lambda: data, "torch": object, **fields})


def refused(*splits, match, **fields):
    with pytest.raises(DataError, match=match) as caught:
        load(recipe(*splits, **fields))
    return str(caught.value)


def test_what_comes_out_of_plain_arrays():
    dataset = load(recipe(Split([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]), input_name="x"))
    assert {name: array.tolist() for name, array in dataset.train.inputs.items()} == {
        "x": [[1.0], [2.0], [3.0]]
    }
    assert dataset.train.targets.tolist() == [[2.0], [4.0], [6.0]]
    assert len(dataset.train) == 3
    assert dataset.probe is None


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, bool])
def test_floats_reach_the_model_as_float32(dtype):
    dataset = load(recipe(Split(X.astype(dtype), X.astype(dtype))))
    assert dataset.train.inputs["input"].dtype == np.float32
    assert dataset.train.targets.dtype == np.float32
    assert dataset.raw["input"].dtype == (np.float32 if dtype == np.float64 else dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_integers_stay_what_they_are(dtype):
    dataset = load(recipe(Split(X.astype(dtype), X)))
    assert dataset.train.inputs["input"].dtype == dtype
    scaled = load(recipe(Split(X.astype(dtype), X), preprocessing=(HALVE,)))
    assert scaled.train.inputs["input"].dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
def test_class_numbers_become_int64(dtype):
    dataset = load(recipe(Split(X, np.array([0, 2, 1], dtype)), loss="cross_entropy"))
    assert dataset.train.targets.dtype == np.int64
    assert dataset.train.targets.tolist() == [0, 2, 1]


def test_preprocessing_reaches_all_but_the_raw_inputs():
    given = recipe(
        Split({"a": X, "b": X}, X),
        Split({"a": X[1:], "b": X[1:]}, X[1:]),
        preprocessing={"a": (HALVE,)},
        probe=Probe({"a": 8.0, "b": 8.0}, 1),
    )
    dataset = load(given)
    assert dataset.train.inputs["a"].tolist() == [[0.5], [1.0], [1.5]]
    assert dataset.train.inputs["b"].tolist() == X.tolist()
    assert dataset.validation.inputs["a"].tolist() == [[1.0], [1.5]]
    assert dataset.raw["a"].tolist() == [[2.0], [3.0]]
    assert dataset.probe["a"].tolist() == [[4.0]]
    assert dataset.probe["b"].tolist() == [[8.0]]
    assert preprocess(given, dataset.raw)["a"].tolist() == dataset.validation.inputs["a"].tolist()


def test_take_keeps_order_and_takes_both_sides():
    samples = Samples({"a": X, "b": 10 * X}, 2 * X)
    part = samples.take(np.array([2, 0]))
    assert part.inputs["a"].tolist() == [[3.0], [1.0]]
    assert part.inputs["b"].tolist() == [[30.0], [10.0]]
    assert part.targets.tolist() == [[6.0], [2.0]]
    assert len(samples.take(slice(1, 3))) == 2


BAD_ARRAYS = {
    "NaN": ([1.0, np.nan, 3.0], r"sample 1 holds NaN or infinity"),
    "infinity": ([[1.0], [2.0], [np.inf]], r"sample 2 holds NaN or infinity"),
    "empty": (np.zeros((0, 1)), r"no samples"),
    "a number": (3.0, r"no samples"),
    "objects": (np.array([1, None, 3], object), r"needs numbers, not object"),
    "text": (["a", "b", "c"], r"needs numbers, not <U1"),
    "complex": ([1j, 2j, 3j], r"needs numbers, not complex128"),
    "dates": (np.array(["2020-01-01"] * 3, "datetime64[D]"), r"needs numbers"),
    "ragged": ([[1.0], [1.0, 2.0], [3.0]], r"shape"),
    "too large for float32": ([1.0, 1e300, 3.0], r"sample 1"),
}


@pytest.mark.parametrize(("array", "match"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("side", ["input 'input'", "targets"])
@pytest.mark.filterwarnings("ignore:overflow")
def test_bad_arrays_are_refused_and_named(array, match, split, side):
    good, bad = Split(X, X), Split(X, array) if side == "targets" else Split(array, X)
    splits = (bad, good) if split == "train" else (good, bad)
    message = refused(*splits, match=match)
    assert f"split {split!r}" in message
    assert side in message


def test_different_lengths_are_refused():
    refused(Split(X, X[:2]), match="'input' has 3 samples, targets have 2")
    refused(Split({"a": X, "b": X[:1]}, X), match="'b' has 1 samples, targets have 3")


@pytest.mark.parametrize(
    ("targets", "labels", "match"),
    [
        ([0, 1, 3], ("a", "b", "c"), r"class 3 is out of range; expected 0 to 2"),
        ([0, -1, 1], ("a", "b"), r"class -1 is out of range; expected 0 to 1"),
        ([0, -1, 1], None, r"class -1 is out of range; expected 0 or more"),
        ([0.0, 1.0, 2.0], None, r"needs class numbers, .* not float64|float32 \(3,\)"),
        ([[0], [1], [2]], None, r"needs class numbers, .* not int64 \(3, 1\)"),
        ([True, False, True], None, r"needs class numbers, .* not bool"),
    ],
)
def test_wrong_classes_are_refused(targets, labels, match):
    wrong = Split(X, np.array(targets))
    right = Split(X, np.array([0, 1, 1]))
    fields = {"loss": "cross_entropy", "labels": labels}
    assert "split 'train'" in refused(wrong, right, match=match, **fields)
    assert "split 'validation'" in refused(right, wrong, match=match, **fields)


WIDE = np.ones((3, 2), np.float32)


@pytest.mark.parametrize(
    ("train", "validation", "match"),
    [
        (Split(X, X), Split(WIDE, X), r"'input'.*\(1,\).*\(2,\)"),
        (Split({"a": X}, X), Split({"b": X}, X), r"train has \['a'\], validation \['b'\]"),
        (Split({"a": X}, X), Split({"a": X, "b": X}, X), r"\['a', 'b'\]"),
        (Split(X, X), Split(X, WIDE), r"target"),
        (Split(X, X), Split(X.astype(np.int64), X), r"float32.*int64|int64.*float32"),
        (Split({}, X), Split({}, X), r"input"),
    ],
    ids=["input shape", "names", "one more", "target shape", "dtype", "no inputs"],
)
def test_splits_that_do_not_fit_each_other_are_refused(train, validation, match):
    refused(train, validation, match=match)


def test_inputs_keep_one_order_in_both_splits():
    """Torch modules take them by position."""
    dataset = load(recipe(Split({"a": X, "b": X}, X), Split({"b": X, "a": X}, X)))
    assert list(dataset.validation.inputs) == list(dataset.train.inputs)
    assert list(dataset.raw) == list(dataset.train.inputs)


def raise_(error):
    raise error


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (lambda: raise_(OSError("no such file: a.csv")), "data function failed: OSError: no such"),
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: None, "must return toolkit.Data"),
        (lambda: (X, X), "must return toolkit.Data"),
        (lambda: Data((X, X), (X, X)), "toolkit.Split"),
        (lambda: Data(Split(X, X), None), "toolkit.Split"),
    ],
)
def test_a_wrong_data_function_is_reported(data, match):
    with pytest.raises(DataError, match=match) as caught:
        load(Recipe("job", data, torch=object))
    assert "recipe 'job'" in str(caught.value)


@pytest.mark.parametrize("steps", [({"step": "reshape", "shape": [5]},), {"inptu": (HALVE,)}])
def test_preprocessing_that_does_not_fit_is_refused(steps):
    refused(Split(X, X), match="preprocessing", preprocessing=steps)


@pytest.mark.filterwarnings("ignore:overflow")
def test_preprocessing_that_overflows_is_refused():
    steps = ({"step": "scale", "factor": 1e38},)
    refused(Split(100 * X, X), match="NaN or infinity", preprocessing=steps)


@pytest.mark.parametrize("given", [8.0, [8.0], [[8.0]], np.float64(8)])
def test_a_probe_takes_the_shape_of_a_sample(given):
    dataset = load(recipe(Split(X, X), probe=Probe(given, 1)))
    assert dataset.probe["input"].tolist() == [[8.0]]
    assert dataset.probe["input"].dtype == np.float32


IMAGES = np.ones((3, 2, 3), np.float32)


@pytest.mark.parametrize(
    ("inputs", "given", "match"),
    [
        (X, [1.0, 2.0], r"'input' has shape \(2,\), a sample \(1,\)"),
        (IMAGES, [[1, 2], [3, 4], [5, 6]], r"shape \(3, 2\), a sample \(2, 3\)"),
        (X, {"x": 1.0}, r"inputs are \['x'\], the data's \['input'\]"),
        ({"a": X, "b": X}, {"a": 1.0}, r"inputs are \['a'\], the data's \['a', 'b'\]"),
        (X, "four", "probe"),
        (X, [[1.0], [1.0, 2.0]], "probe"),
        (X, np.nan, "probe"),
        (X.astype(np.uint8), 300, "probe"),
        (X.astype(np.int64), 4.5, "probe"),
    ],
)
def test_a_probe_that_does_not_fit_is_refused(inputs, given, match):
    refused(Split(inputs, X), match=match, probe=Probe(given, 1))


def test_probe_inputs_are_raw():
    given = recipe(Split(X, X), preprocessing=(HALVE,), probe=Probe(8.0, 1))
    assert probe_inputs(given, load(given).raw)["input"].tolist() == [[8.0]]


def test_the_hash_tells_whether_data_changed():
    other = X.copy()
    other[1] += 1e-6
    loss = PerFramework(torch=object)
    splits = [
        Split(X, X),
        Split(other, X),
        Split(X, other),
        Split(X[..., None], X),  # the same bytes in another shape
        Split(X.view(np.int32), X),  # and as another dtype
    ]
    hashes = [load(recipe(split)).sha256 for split in splits]
    hashes.append(load(recipe(Split(X, X), Split(other, X))).sha256)
    assert len(set(hashes)) == len(hashes)
    same = recipe(Split(X.copy().tolist(), X[::1].astype(np.float64)), loss=loss, seed=9)
    assert load(same).sha256 == hashes[0]
