import json
import re
from pathlib import Path

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
        ({"step": "blur"}, ["step 1", "known: cast, scale, standardize, reshape, transpose"]),
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
        ({"step": "transpose", "axes": 1}, ["axes is 1"]),
        ({"step": "transpose", "axes": [0, 0]}, ["axes is [0, 0]"]),
        ({"step": "transpose", "axes": [1, 2]}, ["axes is [1, 2]"]),
        ({"step": "transpose", "axes": [True, False]}, ["axes is [True, False]"]),
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
        {"step": "transpose", "axes": [1, 0]},
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


def test_transpose_is_of_one_sample():
    batch = np.arange(24).reshape(1, 2, 3, 4)
    step = {"step": "transpose", "axes": [2, 0, 1]}
    moved = steps.apply([step], batch)
    assert moved.shape == (1, 4, 2, 3)
    assert moved[0, 3, 1, 2] == batch[0, 1, 2, 3]


@given(st.permutations(range(3)), st.permutations(range(3)))
def test_raw_shape_undoes_transposes(first, second):
    chain = [{"step": "transpose", "axes": first}, {"step": "transpose", "axes": second}]
    batch = np.zeros((1, 2, 3, 4))
    assert steps.raw_shape(chain, steps.apply(chain, batch).shape[1:]) == (2, 3, 4)


def test_raw_shape_of_transpose_and_reshape():
    to_nchw = {"step": "transpose", "axes": [2, 0, 1]}
    reshape = {"step": "reshape", "shape": [8, 8, 1]}
    assert steps.raw_shape([to_nchw], (3, None, 8)) == (None, 8, 3)
    assert steps.raw_shape([reshape, to_nchw], (1, 8, 8)) == (64,)
    # A picture of any size may have become the flat 192: the reshape says nothing of its axes.
    assert steps.raw_shape([to_nchw, {"step": "reshape", "shape": [192]}], (192,)) == (None,) * 3
    with pytest.raises(InputError, match=r"3 axes for samples of shape \[8\]"):
        steps.raw_shape([to_nchw], (8,))


TOKENISE = {"step": "tokenise", "vocabulary": ["a"], "length": 4, "unknown": 1, "padding": 2}
RESIZE = {"step": "resize", "size": [2, 3]}
WINDOW = {"step": "window", "length": 4, "hop": 2}
RESHAPE = {"step": "reshape", "shape": [-1, 3, 1]}


@pytest.mark.parametrize(
    ("chain", "shape", "raw"),
    [
        ([RESIZE], (2, 3, 3), (None, None, 3)),
        ([RESIZE, {"step": "transpose", "axes": [2, 0, 1]}], (3, 2, 3), (None, None, 3)),
        ([{"step": "pad", "size": [8]}, {"step": "crop", "size": [8]}], (8,), (None,)),
        ([{"step": "grayscale"}], (8, 8, 1), (8, 8, 3)),
        ([{"step": "channels", "order": [0, 0, 0]}], (8, 8, 3), (8, 8, None)),
        ([TOKENISE], (4,), ()),
        ([TOKENISE, {"step": "one_hot", "depth": 9}], (4, 9), ()),
        ([WINDOW], (7, 4), (None,)),
        ([WINDOW, {"step": "fft", "size": 4}, {"step": "log", "floor": 1}], (7, 3), (None,)),
        ([{"step": "one_hot", "depth": 9}], (None, 9), (None,)),
        ([{"step": "argmax"}], (), (None,)),
        ([{"step": "top_k", "k": 2}], (2, 2), (None,)),
        # a reshape hides what came before it
        ([WINDOW, RESHAPE], (7, 3, 1), (None,)),
        ([TOKENISE, RESHAPE], (4, 3, 1), ()),
        ([RESIZE, RESHAPE], (2, 3, 1), (None, None, None)),
        ([{"step": "grayscale"}, RESHAPE], (2, 3, 1), (None, None, 3)),
        ([{"step": "reshape", "shape": [6, 6, 1]}, RESIZE], (2, 3, 1), (36,)),
        ([RESHAPE, RESIZE], (2, 3, 1), (None,)),
    ],
)
def test_raw_shape_of_steps_that_change_it(chain, shape, raw):
    steps.check(chain)
    assert steps.raw_shape(chain, shape) == raw


@pytest.mark.parametrize("chain", [[RESIZE], [WINDOW]])
def test_raw_shape_refuses_what_no_step_makes(chain):
    with pytest.raises(InputError, match=r"not the axes for samples of shape \[6\]"):
        steps.raw_shape(chain, (6,))


@pytest.mark.parametrize(
    "chain",
    [
        [RESIZE, {"step": "transpose", "axes": [1, 2, 0]}, {"step": "cast", "dtype": "uint8"}],
        [{"step": "crop", "size": [2, 1]}, {"step": "grayscale"}],
        [{"step": "pad", "size": [9]}, {"step": "channels", "order": [2, 0]}],
        [{**WINDOW, "length": 2}, {"step": "fft", "size": 2}],
        [{"step": "cast", "dtype": "int32"}, {"step": "one_hot", "depth": 99}],
    ],
)
def test_raw_shape_fits_what_the_steps_were_given(chain):
    batch = np.arange(36).reshape(1, 4, 3, 3)
    raw = steps.raw_shape(chain, steps.apply(chain, batch).shape[1:])
    assert len(raw) == 3
    assert all(size in (None, given) for size, given in zip(raw, (4, 3, 3), strict=True))


def test_compiled_steps_are_checked_once_and_run_often(monkeypatch):
    run = steps.compile([RESIZE, {"step": "scale", "factor": 2}])
    monkeypatch.setattr(steps, "check", None)
    for _ in range(2):
        assert run(np.ones((1, 5, 5))).tolist() == [[[2] * 3] * 2]


def test_no_step_writes_to_its_input():
    batch = np.random.default_rng(0).integers(1, 5, (2, 6, 6, 3)).astype(np.float32)
    before = batch.copy()
    batch.setflags(write=False)
    fields = {
        "cast": {"dtype": "float32"}, "scale": {"factor": 2}, "standardize": {"mean": 1, "std": 2},
        "reshape": {"shape": [-1]}, "transpose": {"axes": [2, 1, 0]}, "one_hot": {"depth": 5},
        "log": {"floor": 1}, "resize": {"size": [6, 6]}, "crop": {"size": [6]},
        "pad": {"size": [6]}, "channels": {"order": [0]}, "window": {"length": 2, "hop": 1},
        "fft": {"size": 4}, "mel": {"rate": 100, "bands": 1}, "top_k": {"k": 1},
        "threshold": {"above": 1},
    }  # fmt: skip
    for name in steps.FIELDS.keys() - {"tokenise", "dequantise"}:
        steps.apply([{"step": name, **fields.get(name, {})}], batch)
    np.testing.assert_array_equal(batch, before)


def test_the_number_of_steps_is_limited():
    with pytest.raises(InputError, match="65 steps, over the limit of 64"):
        steps.check([{"step": "softmax"}] * 65)


def test_long_values_are_cut_off_in_messages():
    for step in ("x" * 10**6, {"step": "x" * 10**6}, {"step": "scale", "factor": "x" * 10**6}):
        with pytest.raises(InputError) as caught:
            steps.check([step])
        assert len(str(caught.value)) < 400


def test_every_step_is_described():
    page = (Path(__file__).parents[2] / "docs" / "steps.md").read_text()
    for name, (needed, optional) in steps.FIELDS.items():
        examples = [line for line in page.splitlines() if f'"step": "{name}"' in line]
        assert examples, name
        for field in (*needed, *optional):
            assert any(f'"{field}"' in line for line in examples), (name, field)


def test_the_examples_of_the_page_are_right():
    page = (Path(__file__).parents[2] / "docs" / "steps.md").read_text()
    examples = re.findall(r"`(\{\"step\".*?\})`", page)
    assert len(examples) >= len(steps.FIELDS)
    for example in examples:
        steps.check([json.loads(example)])
