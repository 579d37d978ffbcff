"""What `load` makes of good data, and how it refuses bad data, naming split and field."""

import numpy as np
import pytest

from toolkit import Data, PerFramework, Probe, Recipe, Split, Stream
from toolkit.data import ingest
from toolkit.data.copies import Place
from toolkit.data.load import Samples, Unread, load, preprocess, probe_inputs
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


CLASSES = np.array([0, 2, 1])


def test_weights_are_carried_and_multiplied_with_those_of_the_classes():
    split = Split(X, CLASSES, weights=[1.0, 0.5, 3.0])
    fields = {"loss": "cross_entropy", "class_weights": {2: 4.0, 0: 10.0}}
    plain = load(recipe(split, loss="cross_entropy"))
    assert plain.train.weights.dtype == np.float32
    assert plain.train.weights.tolist() == [1.0, 0.5, 3.0]
    both = load(recipe(split, **fields))
    assert both.train.weights.tolist() == [10.0, 2.0, 3.0]
    assert both.validation.weights.tolist() == [1.0, 0.5, 3.0], "validation counts all alike"
    assert both.train.take(np.array([[2, 0]])).weights.tolist() == [[3.0, 10.0]]
    only = load(recipe(Split(X, CLASSES), **fields))
    assert only.train.weights.tolist() == [10.0, 4.0, 1.0]
    assert only.validation.weights is None
    assert load(recipe(Split(X, X))).train.weights is None
    assert plain.sha256 != load(recipe(Split(X, CLASSES), loss="cross_entropy")).sha256


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        ([1.0, 2.0], "there are 2 weights, but 3 targets"),
        ([1.0, -0.5, 1.0], r"-0\.5 is below 0"),
        ([0.0, 0.0, 0.0], "all are 0"),
        ([1.0, np.nan, 1.0], "sample 1 holds NaN"),
        ([[1.0], [1.0], [1.0]], r"one number a sample, shape \[n\], not \(3, 1\)"),
        (["a", "b", "c"], "needs numbers"),
    ],
)
def test_bad_weights_are_refused(weights, match):
    message = refused(Split(X, X, weights), Split(X, X), match=match)
    assert "split 'train'" in message
    assert "weights" in message


def test_class_weights_that_leave_nothing_are_refused():
    split = Split(X, np.array([1, 1, 1]))
    fields = {"loss": "cross_entropy", "class_weights": {1: 0.0}}
    refused(split, match="weights: all are 0", **fields)


@pytest.mark.parametrize(
    ("stream", "match"),
    [
        (Stream("data.csv"), "Stream.read must be a function, not 'data.csv'"),
        (Stream(list, inputs={"a": 3}), "columns must be texts, not 3"),
        (Stream(list, target=0), "columns must be texts, not 0"),
        (Stream(list, inputs={}), "has no inputs"),
    ],
)
def test_a_wrong_stream_is_refused_before_anything_is_started(stream, match):
    refused(stream, Split(X, X), match=match)
    refused(Split(X, X), stream, match=match)


def test_a_stream_waits_but_arrays_beside_it_are_checked_at_once():
    assert isinstance(load(recipe(Stream(list), Split(X, X))), Unread)
    refused(Stream(list), Split(X, X[:2]), match="split 'validation': input 'input' has 3")


STREAMS = {
    "train": "Stream(read, inputs={'a': 'p', 'b': 'q'}, weight='w'), Split({'b': B, 'a': A}, C)",
    "validation": "Split({'a': A, 'b': B}, C), Stream(read, inputs={'b': 'q', 'a': 'p'})",
}


@pytest.mark.parametrize("streamed", STREAMS)
def test_a_streamed_split_equals_one_in_memory(tmp_path, monkeypatch, streamed):
    """Read in this process: `test_ingest` reads through Ray."""
    from toolkit import source

    text = f"""
import numpy as np
from toolkit import Data, Probe, Recipe, Split, Stream
A = np.arange(14, dtype=np.uint8).reshape(7, 2)
B = np.arange(7) / 8
C = np.arange(7) % 3
W = np.arange(7) / 2
def read():
    return [dict(p=a, q=b, y=c, w=w) for a, b, c, w in zip(A, B, C, W)]
def data():
    return Data(Split({{'a': A, 'b': B}}, C, W), Split({{'b': B, 'a': A}}, C))
def streamed():
    return Data({STREAMS[streamed]})
recipe = Recipe("job", KIND, torch=object, loss="cross_entropy", class_weights={{2: 5.0}},
    preprocessing={{"a": [dict(step="scale", factor=0.5)]}}, probe=Probe(dict(a=[4, 2], b=1.5), 1))
"""
    files = {}
    for kind in ("data", "streamed"):
        path = tmp_path / f"{kind}.py"
        path.write_text(text.replace("KIND", kind))
        files[kind] = source.find(str(path))
    monkeypatch.setattr(
        ingest, "materialise", lambda s, split: Place(ingest.read(s, split, tmp_path / "c"), "n")
    )
    wanted = load(files["data"].load())
    got = load(files["streamed"].load()).read(files["streamed"])
    ids = np.array([[6, 0], [3, 3], [5, 2]])
    for one, other in ((wanted.train, got.train), (wanted.validation, got.validation)):
        assert (len(one), one.classes(), one.sample_bytes) == (7, 3, other.sample_bytes)
        for left, right in (
            (one.take(ids), other.take(ids)),
            (one.take(slice(2, 5)), other.take(slice(2, 5))),
            (Samples(one.example(), CLASSES), Samples(other.example(), CLASSES)),
        ):
            assert list(left.inputs) == list(right.inputs) == ["a", "b"]
            for name in left.inputs:
                assert left.inputs[name].dtype == right.inputs[name].dtype
                assert left.inputs[name].tolist() == right.inputs[name].tolist()
            assert left.targets.dtype == right.targets.dtype
            assert left.targets.tolist() == right.targets.tolist()
            if streamed == "train" or one is wanted.validation:
                assert (left.weights is None) == (right.weights is None)
                if left.weights is not None:
                    assert left.weights.tolist() == right.weights.tolist()
    assert list(got.raw) == ["a", "b"]
    assert got.raw["a"][ids].tolist() == wanted.raw["a"][ids].tolist()
    assert got.raw["b"][ids].tolist() == wanted.raw["b"][ids].tolist()
    assert {name: a.tolist() for name, a in got.probe.items()} == {"a": [[2.0, 1.0]], "b": [[1.5]]}
    assert got.sha256 == load(files["streamed"].load()).read(files["streamed"]).sha256
    assert len(got.places) == 1


def test_splits_of_different_forms_are_refused_after_reading(tmp_path, monkeypatch):
    from toolkit import source

    path = tmp_path / "recipe.py"
    path.write_text(
        "import numpy as np\nfrom toolkit import Data, Recipe, Split, Stream\n"
        "def data():\n    return Data(Stream(lambda: [([1.0, 2.0], 1.0)]), Split(np.ones((3, 1)), "
        "np.ones(3)))\nrecipe = Recipe('job', data, torch=object)\n"
    )
    found = source.find(str(path))
    monkeypatch.setattr(
        ingest, "materialise", lambda s, split: Place(ingest.read(s, split, tmp_path / "c"), "n")
    )
    with pytest.raises(DataError, match=r"'input': a train sample is .*\(2,\).*\(1,\)"):
        load(found.load()).read(found)
