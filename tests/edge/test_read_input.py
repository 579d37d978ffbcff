import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge.errors import InputError
from edge.read_input import read, to_batch


def given_stdin(text=""):
    return io.StringIO(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4.0", 4.0), ("-1e3", -1000), (" 7 ", 7), ("[1,2,3]", [1, 2, 3]), ("[[1],[2]]", [[1], [2]])],
)
def test_typed_values(text, expected):
    assert read(text, given_stdin()).tolist() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[1, 2]]", [[1, 2]]),
        ("1\n2\n\n3\n", [1, 2, 3]),
        ("4.0", [4]),
        ("a,b\n1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("1,2,3", [[1, 2, 3]]),
    ],
)
def test_standard_input_is_json_or_csv(text, expected):
    assert read("-", given_stdin(text)).tolist() == expected


def test_files(tmp_path):
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    np.save(tmp_path / "a.npy", array)
    (tmp_path / "a.json").write_text(json.dumps(array.tolist()))
    (tmp_path / "a.csv").write_text("\ufeffx,y,z\n0,1,2\n3,4,5\n")
    for suffix in ("npy", "json", "csv"):
        assert read(str(tmp_path / f"a.{suffix}"), given_stdin()).tolist() == array.tolist()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("abc", "none of them"),
        ("", "none of them"),
        ("nan", "NaN or infinity"),
        ("[1, NaN]", r"NaN or infinity at \[1\]"),
        ("1e999", "NaN or infinity"),
        ("[1,", "not JSON"),
        ("[[1],[2,3]]", "differ in length"),
        ('["a"]', "something else than numbers"),
        ("[null]", "something else than numbers"),
        ("[99999999999999999999999]", "something else than numbers"),
        ("[]", "no numbers"),
        ("[" * 100_000, r"input \[\[\["),
        ("missing.npy", "No such file"),
        ("missing.csv", "No such file"),
    ],
)
def test_bad_text_is_refused(text, words):
    with pytest.raises(InputError, match=words):
        read(text, given_stdin())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2\n3\n", "data row 2: 1 columns, not 2"),
        ("a,b\n1,x\n", "data row 1: 'x' is not a number"),
        ("a,b\n", "no numbers"),
        ("", "no numbers"),
        ("1,\n", "'' is not a number"),
        ("1\ninf\n", "NaN or infinity at"),
    ],
)
def test_bad_csv_is_refused(text, words):
    with pytest.raises(InputError, match=words):
        read("-", given_stdin(text))


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x93NUMPY\x01\x00", b"PK\x05\x06" + bytes(18)]
)
def test_a_damaged_npy_file_is_refused(tmp_path, content):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npy"):
        read(str(path), given_stdin())


def test_an_npy_file_is_never_unpickled(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="allow_pickle"):
        read(str(path), given_stdin())


def test_an_npy_file_that_promises_too_much_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (2**50,)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(64))
    with pytest.raises(InputError, match=r"a\.npy"):
        read(str(path), given_stdin())


@pytest.mark.parametrize(
    ("given_shape", "sample", "expected"),
    [
        ((3,), (3,), (1, 3)),
        ((5, 3), (3,), (5, 3)),
        ((), (1,), (1, 1)),
        ((5,), (1,), (5, 1)),
        ((5, 1), (1,), (5, 1)),
        ((), (), (1,)),
        ((5,), (), (5,)),
        ((3, 1), (3,), (1, 3)),
        ((64,), (8, 8, 1), (1, 8, 8, 1)),
        ((5, 64), (8, 8, 1), (5, 8, 8, 1)),
        ((8, 8), (8, 8, 1), (1, 8, 8, 1)),
        ((5, 8, 8), (8, 8, 1), (5, 8, 8, 1)),
        ((8, 8, 1), (8, 8, 1), (1, 8, 8, 1)),
        ((7, 4), (None, 4), (1, 7, 4)),
        ((5, 7, 4), (None, 4), (5, 7, 4)),
    ],
)
def test_to_batch(given_shape, sample, expected):
    assert to_batch(np.zeros(given_shape), sample).shape == expected


@pytest.mark.parametrize(
    ("given_shape", "sample"),
    [
        ((4,), (3,)),
        ((), (3,)),
        ((4, 2), (8,)),
        ((2, 2, 2), (4,)),
        ((7, 5), (None, 4)),
        ((), (None,)),
    ],
)
def test_to_batch_states_both_shapes(given_shape, sample):
    with pytest.raises(InputError) as caught:
        to_batch(np.zeros(given_shape), sample)
    assert str(list(given_shape)) in str(caught.value)
    assert ", ".join("any" if size is None else str(size) for size in sample) in str(caught.value)


@given(hnp.array_shapes(max_dims=3, max_side=4), st.integers(1, 3))
def test_to_batch_keeps_every_number_in_order(sample, count):
    array = np.arange(count * np.prod(sample)).reshape(count, *sample)
    for form in (array, array.reshape(count, -1)):
        assert to_batch(form, sample).ravel().tolist() == array.ravel().tolist()
