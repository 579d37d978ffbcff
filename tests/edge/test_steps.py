import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import steps
from edge.errors import InputError

FINITE = st.floats(-1e6, 1e6, width=32)


def test_no_steps_leave_the_batch_as_it_is():
    batch = np.arange(6).reshape(2, 3)
    assert steps.apply([], batch) is batch


@given(st.lists(FINITE, min_size=1, max_size=8), FINITE, FINITE)
def test_scale_is_float32_arithmetic(values, factor, offset):
    batch = np.array(values)[:, None]
    scaled = steps.apply([{"step": "scale", "factor": factor, "offset": offset}], batch)
    expected = batch.astype(np.float32) * np.float32(factor) + np.float32(offset)
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, expected)


def test_standardize_by_number_and_by_column():
    batch = np.array([[1, 10], [3, 30]], np.uint8)
    step = {"step": "standardize", "mean": [2, 20], "std": [1, 10]}
    assert steps.apply([step], batch).tolist() == [[-1, -1], [1, 1]]
    step = {"step": "standardize", "mean": 2, "std": 0.5}
    standard = steps.apply([step], batch)
    assert standard.dtype == np.float32
    assert standard.tolist() == [[-2, 16], [2, 56]]


def test_cast_to_integers_rounds_and_clips():
    batch = np.array([[-1.0, 0.5, 1.5, 2.6, 300.0, 1e30]])
    assert steps.apply([{"step": "cast", "dtype": "uint8"}], batch).tolist() == [
        [0, 0, 2, 3, 255, 255]
    ]
    wide = steps.apply([{"step": "cast", "dtype": "int64"}], batch)
    assert wide.dtype == np.int64
    assert wide.max() == 2**53


@given(FINITE, st.sampled_from(["int8", "uint8", "int16", "int32", "int64"]))
def test_cast_stays_in_range(value, dtype):
    limits = np.iinfo(dtype)
    cast = steps.apply([{"step": "cast", "dtype": dtype}], np.array([value]))
    assert cast.dtype == dtype
    assert int(cast[0]) == min(max(round(value), limits.min), limits.max)


def test_reshape_is_of_one_sample():
    batch = np.arange(24).reshape(2, 12)
    assert steps.apply([{"step": "reshape", "shape": [3, -1, 1]}], batch).shape == (2, 3, 4, 1)
    assert steps.apply([{"step": "reshape", "shape": []}], batch[:, :1]).shape == (2,)


def test_steps_run_in_order_and_leave_the_input_alone():
    batch = np.full((1, 4), 16, np.int64)
    chain = [{"step": "scale", "factor": 0.0625}, {"step": "reshape", "shape": [2, 2]}]
    assert steps.apply(chain, batch).tolist() == [[[1, 1], [1, 1]]]
    assert batch.tolist() == [[16, 16, 16, 16]]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("scale", ["step 1", "expected an object"]),
        ({"factor": 1}, ["step 1", "'step'"]),
        ({"step": "scal", "factor": 1}, ["step 1", "did you mean 'scale'"]),
        ({"step": "crop"}, ["step 1", "known: cast, scale, standardize, reshape"]),
        ({"step": "scale"}, ["step 1 (scale)", "factor is missing"]),
        ({"step": "scale", "factor": 1, "ofset": 1}, ["'ofset'", "did you mean 'offset'"]),
        ({"step": "scale", "factor": float("nan")}, ["factor is nan"]),
        ({"step": "scale", "factor": 1e39}, ["factor is 1e+39"]),
        ({"step": "scale", "factor": 10**400}, ["factor is 1"]),
        ({"step": "scale", "factor": "2"}, ["factor is '2'"]),
        ({"step": "scale", "factor": True}, ["factor is True"]),
        ({"step": "scale", "factor": [1, 2]}, ["factor is [1, 2]"]),
        ({"step": "standardize", "mean": 0, "std": 0}, ["std is 0", "above 0"]),
        ({"step": "standardize", "mean": 0, "std": 1e-60}, ["std is 1e-60"]),
        ({"step": "standardize", "mean": 0, "std": [1, 0]}, ["std is [1, 0]"]),
        ({"step": "standardize", "mean": [], "std": 1}, ["mean is []"]),
        ({"step": "cast", "dtype": "complex64"}, ["'complex64'", "float32"]),
        ({"step": "cast", "dtype": ["int8"]}, ["dtype ['int8']"]),
        ({"step": "reshape", "shape": 3}, ["shape is 3"]),
        ({"step": "reshape", "shape": [2, 0]}, ["shape is [2, 0]"]),
        ({"step": "reshape", "shape": [-1, -1]}, ["-1 only once"]),
    ],
)
def test_a_wrong_step_is_named_with_its_field(step, words):
    with pytest.raises(InputError) as caught:
        steps.check([{"step": "scale", "factor": 1.0}, step])
    for word in words:
        assert word in str(caught.value)


def test_steps_must_be_a_list():
    with pytest.raises(InputError, match="list of steps"):
        steps.check({"step": "scale"})


@pytest.mark.parametrize(
    "step",
    [
        {"step": "reshape", "shape": [2, 2]},
        {"step": "standardize", "mean": [1, 2], "std": 1},
        {"step": "standardize", "mean": 1, "std": [1]},
    ],
)
def test_a_step_that_does_not_fit_states_the_shape(step):
    with pytest.raises(InputError, match=r"step 0 .*shape \[3\]"):
        steps.apply([step], np.zeros((5, 3)))


def test_raw_shape():
    reshape = {"step": "reshape", "shape": [8, 8, 1]}
    scale = {"step": "scale", "factor": 2}
    columns = {"step": "standardize", "mean": 0, "std": [1.0] * 8}
    assert steps.raw_shape([scale], (8, 8, 1)) == (8, 8, 1)
    assert steps.raw_shape([scale, reshape], (8, 8, 1)) == (64,)
    assert steps.raw_shape([columns, reshape], (8, 8, 1)) == (8, 8)
    assert steps.raw_shape([reshape, columns], (8, 8, 1)) == (64,)
    assert steps.raw_shape([reshape], (None, 8)) == (None, 8)
