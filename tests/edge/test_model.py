"""Model.predict and the way to the answer, on a model that needs no runtime."""

import numpy as np
import pytest

from edge.answer import answer, prepare
from edge.errors import BrokenRuntimeError, InputError, ModelError
from edge.model import Model
from edge.tensor import Tensor


class Doubler(Model):
    """y = 2x for every input; remembers the batches that it ran."""

    def __init__(self, inputs, outputs=None, manifest=None):
        outputs = outputs or [Tensor("y", inputs[0].shape, inputs[0].dtype)]
        super().__init__("fake", "fake 1.0", inputs, outputs, manifest)
        self.batches = []

    def _run(self, inputs):
        self.batches.append([array.shape for array in inputs])
        return [array * 2 for array in inputs]


def doubler(shape=(None, 1), dtype="float32", **options):
    return Doubler([Tensor("x", shape, dtype)], **options)


def test_a_free_batch_runs_at_once():
    model = doubler()
    assert model.predict({"x": np.ones((5, 1))})["y"].tolist() == [[2]] * 5
    assert model.batches == [[(5, 1)]]


@pytest.mark.parametrize(("size", "runs"), [(1, 6), (2, 3), (6, 1)])
def test_a_fixed_batch_runs_in_chunks(size, runs):
    model = doubler((size, 1))
    values = np.arange(6, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(model.predict({"x": values})["y"], values * 2)
    assert model.batches == [[(size, 1)]] * runs


def test_a_fixed_batch_takes_multiples_only():
    with pytest.raises(InputError, match="takes 4 samples at a time, 6 is no multiple"):
        doubler((4, 1)).predict({"x": np.ones((6, 1), np.float32)})


def test_outputs_without_axes_are_joined():
    class Sum(Doubler):
        def _run(self, inputs):
            return [inputs[0].sum()]

    model = Sum([Tensor("x", (1, 2), "float32")], [Tensor("y", (), "float32")])
    outputs = model.predict({"x": np.array([[1, 2], [3, 4]], np.float32)})
    assert outputs["y"].tolist() == [3, 7]


def test_an_input_without_axes_goes_with_every_chunk():
    class Scale(Doubler):
        def _run(self, inputs):
            return [inputs[0] * inputs[1]]

    model = Scale([Tensor("x", (1,), "float32"), Tensor("by", (), "float32")], [
        Tensor("y", (1,), "float32")
    ])  # fmt: skip
    outputs = model.predict({"x": np.array([1, 2], np.float32), "by": np.float32(3)})
    assert outputs["y"].tolist() == [3, 6]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.ones(3, np.float32), r"input x float32\[n, 1\]: got an array of shape \[3\]"),
        (np.ones((3, 2), np.float32), r"shape \[3, 2\]"),
        (np.ones((0, 1), np.float32), "no samples"),
        (np.ones((1, 1), np.complex64), "complex64"),
        (np.array([["1"]]), "<U1"),
        (np.array([[1e39]]), "out of the range of float32"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(value, words):
    with pytest.raises(InputError, match=words):
        doubler().predict({"x": value})


@pytest.mark.parametrize("dtype", ["float64", "float16", "int8", "int64", "bool", ">f4"])
def test_what_converts_without_loss_is_converted(dtype):
    outputs = doubler().predict({"x": np.ones((1, 1), dtype)})
    assert outputs["y"].dtype == np.float32
    assert outputs["y"].tolist() == [[2]]


def test_integers_never_wrap_around():
    model = doubler(dtype="int8")
    assert model.predict({"x": np.array([[50]])})["y"].tolist() == [[100]]
    with pytest.raises(InputError, match="200 is out of the range of int8"):
        model.predict({"x": np.array([[200]])})
    with pytest.raises(InputError, match="float32, which does not convert"):
        model.predict({"x": np.array([[1]], np.float32)})


def test_names_are_checked():
    model = Doubler([Tensor("left", (None,), "float32"), Tensor("right", (None,), "float32")])
    one = np.ones(1, np.float32)
    with pytest.raises(InputError, match="no value for right"):
        model.predict({"left": one})
    with pytest.raises(InputError, match="'rigth'; did you mean 'right'"):
        model.predict({"left": one, "rigth": one})
    with pytest.raises(InputError, match="'z'; inputs: left, right"):
        model.predict({"z": one})
    with pytest.raises(InputError, match="left has 1, right has 2"):
        model.predict({"left": one, "right": np.ones(2, np.float32)})


def test_inputs_of_several_fixed_batch_sizes_are_refused():
    model = Doubler([Tensor("a", (1,), "float32"), Tensor("b", (2,), "float32")])
    with pytest.raises(ModelError, match="differ in their batch size"):
        model.predict({"a": np.ones(2, np.float32), "b": np.ones(2, np.float32)})


def test_what_a_runtime_raises_becomes_ours():
    class Broken(Doubler):
        def _run(self, inputs):
            raise RuntimeError("out of cheese")

    with pytest.raises(BrokenRuntimeError, match=r"fake 1.0 failed .*\[1, 1\].*cheese") as caught:
        Broken([Tensor("x", (None, 1), "float32")]).predict({"x": np.ones((1, 1))})
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_the_manifest_names_the_tensors(describe):
    model = doubler(manifest=describe())
    assert model.inputs == (Tensor("value", (None, 1), "float32"),)
    assert model.predict({"value": np.ones((1, 1))})["twice"].tolist() == [[2]]


def test_the_way_to_a_label(describe):
    shape = (None, 2, 2)
    manifest = describe(
        inputs=(Tensor("value", shape, "float32"),),
        outputs=(Tensor("twice", shape, "float32"),),
        preprocessing={
            "value": [
                {"step": "scale", "factor": 1, "offset": -1},
                {"step": "reshape", "shape": [2, 2]},
            ]
        },
    )
    model = doubler(shape, manifest=manifest)
    raw = {"value": np.array([1, 2, 3, 4])}
    assert prepare(model, raw)["value"].tolist() == [[[0, 1], [2, 3]]]
    assert prepare(model, raw, preprocess=False)["value"].tolist() == [[[1, 2], [3, 4]]]
    assert answer(model, raw).answers.tolist() == [[[0, 2], [4, 6]]]


def test_labels(describe):
    tensor = (Tensor("t", (None, 3), "float32"),)
    raw = {"t": np.array([[1, 3, 2], [9, 1, 1]])}
    model = doubler((None, 3), manifest=describe(inputs=tensor, outputs=tensor, decision="argmax"))
    assert answer(model, raw).labels is None
    manifest = describe(inputs=tensor, outputs=tensor, decision="argmax", labels=("a", "b", "c"))
    answers = answer(doubler((None, 3), manifest=manifest), raw)
    assert (answers.answers.tolist(), answers.labels) == ([1, 0], ["b", "a"])
    bare = answer(doubler((None, 3)), {"x": raw["t"]})
    assert (bare.answers, bare.labels) == (None, None)


def test_an_error_names_the_input(describe):
    with pytest.raises(InputError, match="input value: expected one sample of shape"):
        answer(doubler(manifest=describe()), {"value": np.ones((2, 3))})


class Counting(Doubler):
    """Counts the calls that were checked in full."""

    full = 0

    def _checked(self, inputs):
        self.full += 1
        return super()._checked(inputs)


def counting(shape=(None, 1), dtype="float32", **options):
    return Counting([Tensor("x", shape, dtype)], **options)


def test_the_same_again_is_not_checked_in_full():
    model = counting()
    for value in (1, 2, 3):
        assert (
            model.predict({"x": np.full((2, 1), value, np.float32)})["y"].tolist()
            == [[2 * value]] * 2
        )
    assert model.full == 1
    model.predict({"x": np.ones((3, 1), np.float32)})
    model.predict({"x": np.ones((3, 1), np.float32)})
    assert model.full == 2


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"x": np.ones((1, 2), np.float32)}, "got an array of shape"),
        ({"x": np.ones((1, 1), np.complex64)}, "complex64"),
        ({"x": np.array([[1e39]])}, "out of the range"),
        ({"x": np.ones((0, 1), np.float32)}, "no samples"),
        ({"z": np.ones((1, 1), np.float32)}, "no input is called"),
        ({"x": np.ones((1, 1), np.float32), "z": 1}, "no input is called"),
        ({}, "no value for"),
        ({"x": [["a"]]}, "<U1"),
    ],
)
def test_nothing_slips_past_the_short_way(inputs, words):
    model = counting()
    model.predict({"x": np.ones((1, 1), np.float32)})
    with pytest.raises(InputError, match=words):
        model.predict(inputs)
    assert model.predict({"x": np.ones((1, 1), np.float32)})["y"].tolist() == [[2]]


def test_what_is_converted_or_cut_is_always_checked():
    model = counting(dtype="int8")
    for value in (1, 100):
        model.predict({"x": np.array([[value]])})
    assert model.full == 2
    with pytest.raises(InputError, match="200 is out of the range"):
        model.predict({"x": np.array([[200]])})
    model = counting((1, 1))
    for _ in range(2):
        assert model.predict({"x": np.ones((2, 1), np.float32)})["y"].tolist() == [[2], [2]]
    assert (model.full, len(model.batches)) == (2, 4)


def test_a_big_endian_array_does_not_pass_for_a_native_one():
    model = counting()
    model.predict({"x": np.ones((1, 1), np.float32)})
    assert model.predict({"x": np.ones((1, 1), ">f4")})["y"].tolist() == [[2]]
    assert model.full == 2
