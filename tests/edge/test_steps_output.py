import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import special

from edge import steps
from edge.errors import InputError

ROWS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 9)),
    elements=st.floats(-1e4, 1e4, width=32),
)


def one(name, batch, **fields):
    return steps.apply([{"step": name, **fields}], np.asarray(batch))


@pytest.mark.parametrize("library", ["tf", "torch"])
@pytest.mark.parametrize("name", ["softmax", "sigmoid"])
def test_softmax_and_sigmoid_are_those_of_the_frameworks(data, library, name):
    golden = np.load(data / f"steps_{library}.npz")
    made = one(name, golden["logits"])
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, golden[name], rtol=2e-6, atol=1e-12)


@given(ROWS)
def test_softmax_and_sigmoid_are_exact(batch):
    with np.errstate(over="ignore", under="ignore"):
        expected = special.softmax(batch.astype(np.float64), axis=-1).astype(np.float32)
        np.testing.assert_allclose(one("softmax", batch), expected, rtol=1e-6, atol=1e-37)
        expected = special.expit(batch.astype(np.float64)).astype(np.float32)
        np.testing.assert_allclose(one("sigmoid", batch), expected, rtol=1e-6, atol=1e-37)


def test_argmax_and_top_k_are_those_of_torch(data):
    golden = np.load(data / "steps_torch.npz")
    best = one("argmax", golden["logits"])
    assert best.dtype == np.int64
    np.testing.assert_array_equal(best, golden["argmax"])
    top = one("top_k", golden["logits"], k=4)
    assert (top.shape, top.dtype) == ((6, 4, 2), np.float32)
    np.testing.assert_array_equal(top[..., 0], golden["topk.places"])
    np.testing.assert_array_equal(top[..., 1], golden["topk.values"])


@given(ROWS, st.data())
def test_top_k_is_sorted_and_the_first_of_equals_wins(batch, data):
    batch = np.round(batch / 2000)  # many equals
    k = data.draw(st.integers(1, batch.shape[1]))
    for row, top in zip(batch.tolist(), one("top_k", batch, k=k).tolist(), strict=True):
        expected = sorted(range(len(row)), key=lambda place: (-row[place], place))[:k]
        assert top == [[place, row[place]] for place in expected]
    first = one("top_k", batch, k=1)[:, 0, 0]
    np.testing.assert_array_equal(first, one("argmax", batch))


def test_integers_have_a_top_k_too():
    assert one("top_k", np.array([[0, 255, 7]], np.uint8), k=2).tolist() == [[[1, 255], [2, 7]]]
    assert one("top_k", np.array([[-128, 127]], np.int8), k=1).tolist() == [[[1, 127]]]


def test_threshold_is_strictly_above():
    made = one("threshold", [[0.5, 0.50001, -1, np.inf]], above=0.5)
    assert (made.tolist(), made.dtype) == ([[0, 1, 0, 1]], np.int64)


def test_dequantise_is_that_of_torch(data):
    golden = np.load(data / "steps_torch.npz")
    made = one("dequantise", golden["integers"], scale=0.37, zero_point=-5)
    np.testing.assert_array_equal(made, golden["dequantised"])


def test_one_hot_is_that_of_tensorflow(data):
    golden = np.load(data / "steps_tf.npz")["one_hot"]
    np.testing.assert_array_equal(one("one_hot", [[3.0, 0.0], [9.0, 1.0]], depth=10), golden)
    np.testing.assert_array_equal(one("one_hot", [[3, 0], [9, 1]], depth=10), golden)


@given(ROWS, st.sampled_from(["e", "2", "10"]))
def test_log(batch, base):
    made = one("log", batch, floor=1e-6, offset=0.5, base=base)
    values = np.maximum(batch + np.float32(0.5), np.float32(1e-6)).astype(np.float64)
    expected = np.log(values) / np.log({"e": np.e, "2": 2, "10": 10}[base])
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-9)


def test_outputs_are_processed_in_order():
    chain = [
        {"step": "dequantise", "scale": 0.5, "zero_point": 10},
        {"step": "softmax"},
        {"step": "top_k", "k": 1},
    ]
    made = steps.apply(chain, np.array([[10, 12, 10]], np.int8))
    assert made[0, 0, 0] == 1
    assert made[0, 0, 1] == pytest.approx(np.e / (np.e + 2), rel=1e-6)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"step": "top_k", "k": 0}, "k is 0, not a whole number from 1 to 65536"),
        ({"step": "top_k", "k": 1.0}, "k is 1.0"),
        ({"step": "threshold", "above": None}, "above is None"),
        ({"step": "dequantise", "scale": 0, "zero_point": 0}, "scale is 0; it must be above 0"),
        ({"step": "dequantise", "scale": 1, "zero_point": 0.5}, "zero_point is 0.5"),
        ({"step": "one_hot", "depth": 1 << 21}, "depth is 2097152"),
        ({"step": "softmax", "axis": 1}, "unknown field 'axis'"),
    ],
)
def test_a_wrong_field_is_named(step, words):
    with pytest.raises(InputError) as caught:
        steps.check([step])
    assert f"step 0 ({step['step']}): " in str(caught.value)
    assert words in str(caught.value)


NAN = [[1.0, np.nan]]


@pytest.mark.parametrize(
    ("name", "batch", "fields", "words"),
    [
        ("argmax", NAN, {}, "there is NaN in it"),
        ("top_k", NAN, {"k": 1}, "there is NaN in it"),
        ("threshold", NAN, {"above": 0}, "there is NaN in it"),
        ("cast", NAN, {"dtype": "int8"}, "NaN is no integer"),
        ("argmax", [1.0], {}, "must hold the classes"),
        ("softmax", [[]], {}, "must hold the classes"),
        ("top_k", [[1.0]], {"k": 2}, "there are 1 values, k is 2"),
        ("dequantise", [[1.0]], {"scale": 1, "zero_point": 0}, "float64 is no integer"),
        ("one_hot", [[3]], {"depth": 3}, "3 is not a whole number from 0 to 2"),
        ("one_hot", [[-1]], {"depth": 3}, "-1 is not"),
        ("one_hot", [[0.5]], {"depth": 3}, "0.5 is not"),
        ("one_hot", NAN, {"depth": 3}, "nan is not"),
        ("one_hot", np.zeros((1, 32)), {"depth": 1 << 20}, "33554432 values, over the limit"),
    ],
)
def test_what_does_not_fit_states_why(name, batch, fields, words):
    with pytest.raises(InputError) as caught:
        one(name, batch, **fields)
    assert words in str(caught.value)
