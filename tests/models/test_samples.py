"""Samples of models from elsewhere: read from files, or made up from a signature."""

import numpy as np
import pytest

from edge.tensor import Tensor
from toolkit.errors import DataError, NotFoundError, UsageError
from toolkit.models.samples import make_up, parse_signature, read_samples


def test_a_file_has_inputs_by_name_and_targets(tmp_path):
    path = tmp_path / "samples.npz"
    np.savez(path, image=np.ones((3, 2, 2)), ids=np.arange(3), targets=np.array([0, 1, 2]))
    given = read_samples(path, "input")
    assert {name: array.shape for name, array in given.inputs.items()} == {
        "image": (3, 2, 2),
        "ids": (3, 1),
    }
    assert given.targets.tolist() == [0, 1, 2]
    assert given.real


def test_an_npy_file_is_the_only_input(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((3, 2)))
    given = read_samples(tmp_path / "x.npy", "pixels")
    assert list(given.inputs) == ["pixels"]
    assert given.targets is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "no arrays"),
        ({"targets": np.arange(3)}, "needs inputs"),
        ({"a": np.ones(3), "b": np.ones(4)}, "a 3, b 4"),
        ({"a": np.array([1, np.nan])}, "sample 1 holds NaN"),
        ({"a": np.array(["x", "y"])}, "numbers"),
        ({"a": np.array([{}, {}], dtype=object)}, "no .npz or .npy file of numbers"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content, words):
    path = tmp_path / "samples.npz"
    np.savez(path, **content)
    with pytest.raises(DataError, match=words):
        read_samples(path, "input")


def test_a_file_that_is_cut_off_or_missing_is_refused(tmp_path):
    path = tmp_path / "samples.npz"
    with pytest.raises(NotFoundError, match="No such file"):
        read_samples(path, "input")
    np.savez(path, a=np.ones(300))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"numpy\.savez"):
        read_samples(path, "input")


def test_a_signature_is_read():
    tensors, limits = parse_signature("image:float32[n, 28,28,1]; ids:int32[n,16]<1000")
    assert tensors == (
        Tensor("image", (None, 28, 28, 1), "float32"),
        Tensor("ids", (None, 16), "int32"),
    )
    assert limits == {"ids": 1000}


@pytest.mark.parametrize("text", ["", "image", "image:float32", "x:float33[n]", "x:int8[n,0]"])
def test_another_signature_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"--signature: .*write it like 'image:float32"):
        parse_signature(text)


def test_made_up_samples_fit_and_are_the_same_each_time():
    tensors, limits = parse_signature("x:float32[n,3]; ids:int64[n,s]<7; raw:uint8[n,2]")
    one, other = (make_up(tensors, limits) for _ in range(2))
    assert not one.real
    for name, array in one.inputs.items():
        np.testing.assert_array_equal(array, other.inputs[name])
    assert one.inputs["x"].dtype == np.float32
    assert one.inputs["x"].shape == (64, 3)
    assert set(np.unique(one.inputs["ids"])) == set(range(7))
    assert one.inputs["raw"].max() > 200
