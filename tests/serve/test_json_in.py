"""JSON with limits, answers as JSON, and arrays of exactly a dtype and shape."""

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numbers

from toolkit.serve.arrays import array
from toolkit.serve.errors import RequestError
from toolkit.serve.json_in import dumps, parse
from toolkit.serve.version import Spec

DTYPES = (
    "bool",
    "float16",
    "float32",
    "float64",
    *(f"{s}int{b}" for s in ("", "u") for b in (8, 64)),
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False)
    .filter(math.isfinite) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)  # fmt: skip


def depth_of(value):
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, inner), default=0) if isinstance(value, (dict, list)) else 0


@given(PLAIN, st.booleans())
def test_parse_reads_what_json_wrote(value, ascii_only):
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse(body, 32) == value


@given(PLAIN, st.integers(1, 5))
def test_depth_is_counted_exactly(value, limit):
    body = json.dumps(value).encode()
    if depth_of(value) <= limit:
        assert parse(body, limit) == value
    else:
        with pytest.raises(RequestError, match=f"deeper than {limit} "):
            parse(body, limit)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 2**22,
        b"[]" * 2**21,
        b'"' + b'\\"' * 2**20,
        b'{"' * 2**20,
        b'["[' * 2**20,
        b"[]" + b'"[' * 2**20,
        b'{"a":' * 2**20,
    ],
    ids=["open", "pairs", "quote", "names", "mixed", "texts", "objects"],
)
def test_hostile_bodies_cost_little(body):
    begun = time.process_time()
    with pytest.raises(RequestError):
        parse(body, 32)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 1}', b'[[[{"a": {"b": 1, "b": 2}}]]]'])
def test_a_name_twice_is_refused(body):
    with pytest.raises(RequestError, match="is twice in one object"):
        parse(body, 32)


@pytest.mark.parametrize(
    "body", [b'{"a": "b:c", "d{": ":{"}', b'[{"a": 1}, {"a": 1}]', b'[[{"a": 1}]]']
)
def test_names_that_look_alike_are_taken(body):
    assert parse(body, 32) == json.loads(body)


@given(st.data(), st.sampled_from(DTYPES), st.booleans(), st.booleans())
def test_arrays_are_written_as_lists(data, dtype, swapped, turned):
    made = data.draw(numbers.arrays(dtype, numbers.array_shapes(min_dims=0, max_dims=3)))
    made = made.astype(made.dtype.newbyteorder(">")) if swapped else made
    made = made.T if turned else made
    read = np.array(json.loads(dumps({"a": [made]}))["a"][0], np.object_)
    assert read.shape == made.shape or not made.size
    for one, wanted in zip(read.flat, made.flat, strict=True):
        if np.isfinite(wanted):
            assert np.array(one, made.dtype) == wanted
        else:
            assert one is None


def test_bytes_texts_and_scalars_are_written():
    value = {"a": b"\xff", "b": np.array(["x", "ö"]), "c": np.float16(0.5), "d": np.float32(np.nan)}
    assert json.loads(dumps(value)) == {"a": {"b64": "/w=="}, "b": ["x", "ö"], "c": 0.5, "d": None}
    with pytest.raises(TypeError):
        dumps({"a": object()})


@given(st.data(), st.sampled_from(DTYPES))
def test_lists_become_the_array_that_they_came_from(data, dtype):
    shape = data.draw(numbers.array_shapes(min_dims=0, max_dims=4, max_side=3))
    elements = numbers.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)
    made = data.draw(numbers.arrays(dtype, shape, elements=elements))
    loose = [None if data.draw(st.booleans()) else size for size in shape]
    read = array(parse(json.dumps(made.tolist()).encode(), 32), Spec("x", tuple(loose), dtype), "x")
    assert read.dtype == made.dtype
    np.testing.assert_array_equal(read, made)


@given(st.lists(st.text(), min_size=1))
def test_texts_are_objects_and_keep_every_character(texts):
    made = array(texts, Spec("t", (None,), "str"), "x")
    assert made.dtype == object
    assert made.tolist() == texts


def test_whole_numbers_may_be_written_with_a_point():
    spec = Spec("x", (None,), "int64")
    made = array([1.0, 2**53 + 1, -3], spec, "x")
    assert made.tolist() == [1, 2**53 + 1, -3]


SPEC = Spec("x", (None, 2), "float32")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1, 2], [3]], ["differ in length", "2 at [0]", "1 at [1]"]),
        ([[1, 2], 3], ["got 3 among lists at [1]"]),
        ([[1, 2], [3, "4"]], ["got the text '4', not a number at [1][1] of inputs"]),
        ([[1, 2], [True, 4]], ["got true, not a number at [1][0]"]),
        ([[1, 2], [3, 1e39]], ["1e+39, out of the range", "at [1][1]"]),
        ([1, 2], ["got [2] in inputs", "send a list of samples"]),
        ([[[1, 2]]], ["got [1, 1, 2]", "nested 2 deep"]),
        ([], ["no samples"]),
        (7, ["got one bare value"]),
        ({"a": 1}, ["got one bare value"]),
        ("ab", ["got one bare value"]),
    ],
)
def test_what_is_wrong_is_said(value, words):
    with pytest.raises(RequestError) as refused:
        array(value, SPEC, "inputs")
    message = str(refused.value)
    assert message.startswith("input x: expected float32[n, 2], got ")
    assert all(word in message for word in words), message


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["b64", "x"]), inner, max_size=2)
    ),
    max_leaves=20,
)


@given(ANY, st.sampled_from([*DTYPES, "str"]), st.lists(st.sampled_from([None, 1, 2]), max_size=3))
def test_any_value_is_taken_or_refused_by_name(value, dtype, sizes):
    spec = Spec("x", tuple(sizes), dtype)
    try:
        made = array(value, spec, "inputs")
    except RequestError as error:
        assert str(error).startswith("input x: expected ")  # noqa: PT017
        return
    assert made.ndim == len(sizes)
    assert all(
        wanted in (None, size) for size, wanted in zip(made.shape[1:], sizes[1:], strict=True)
    )
    assert made.dtype == (object if dtype == "str" else np.dtype(dtype))
    if dtype != "str":
        np.testing.assert_array_equal(made, np.array(value, made.dtype))
