"""Integers that stand for float32: the arithmetic, and real quantised files in real runtimes."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import infer
from edge.errors import InputError, ModelError
from edge.manifest import ONNX_KEY, Manifest
from edge.manifest_tflite import append_to_tflite
from edge.quantisation import dequantise, quantise
from edge.runtime import load
from edge.tensor import QUANTISED, Tensor, align

IN, OUT = (0.007843137718737125, -1), (0.01568627543747425, -1)  # of tests/edge/data/int8.tflite


def tensor(scale, zero_point, name="x"):
    return Tensor(name, (None, 1), "float32", (scale, zero_point))


@st.composite
def quantised(draw):
    dtype = draw(st.sampled_from(sorted(QUANTISED)))
    scale = draw(st.floats(2**-100, 2**100, width=32))
    return dtype, tensor(scale, draw(st.integers(*QUANTISED[dtype])))


@given(quantised())
def test_every_integer_comes_back(case):
    dtype, of = case
    low, high = QUANTISED[dtype]
    integers = np.arange(low, high + 1).astype(dtype)
    np.testing.assert_array_equal(quantise(dequantise(integers, of), of, dtype), integers)


@given(quantised(), st.lists(st.floats(-(2**100), 2**100, width=32), min_size=1, max_size=9))
def test_no_value_in_range_moves_further_than_half_a_step(case, values):
    dtype, of = case
    low, high = dequantise(np.array(QUANTISED[dtype], dtype), of)
    values = np.clip(np.array(values, np.float32), low, high)
    error = np.abs(dequantise(quantise(values, of, dtype), of).astype(float) - values)
    assert (error <= of.quantization[0] * 0.51 + np.abs(values) * 1e-6).all()


def test_rounding_is_half_to_even_and_clips():
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1e38, -np.inf], np.float32)
    assert quantise(values, tensor(1.0, 0), "int8").tolist() == [0, 2, 2, 0, -2, 127, -128]
    assert quantise(values, tensor(1.0, 3), "uint8").tolist() == [3, 5, 5, 3, 1, 255, 0]
    assert quantise(values, tensor(1e-5, 0), "int16").tolist()[0] == 32767
    with pytest.raises(InputError, match="NaN has no place in int8"):
        quantise(np.array([np.nan], np.float32), tensor(1.0, 0), "int8")


def test_the_arithmetic_is_that_of_onnx(int8_onnx):
    """QuantizeLinear of onnxruntime gives the same integers for the same values."""
    values = np.linspace(-2, 2, 4001, dtype=np.float32)[:, None]
    path, wanted = int8_onnx(quantise_only=True)
    outputs = load(path).predict({"x": values})["y"]
    np.testing.assert_array_equal(quantise(values, wanted, "int8"), outputs)


def describe_quantised(describe, **changes):
    return describe(
        precision="int8",
        **{"inputs": (tensor(*IN, "value"),), "outputs": (tensor(*OUT, "twice"),), **changes},
    )


@pytest.fixture
def int8_onnx(tmp_path):
    """y = 2x in int8, as ONNX: (path, Tensor) of int8_onnx(manifest)."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto

    def make(manifest=None, quantise_only=False):
        values = [("in", IN), ("out", OUT)]
        weights = [helper.make_tensor("two", kinds.FLOAT, [], [2.0])]
        for name, (scale, zero) in values:
            weights.append(helper.make_tensor(f"{name}_scale", kinds.FLOAT, [], [scale]))
            weights.append(helper.make_tensor(f"{name}_zero", kinds.INT8, [], [zero]))
        if quantise_only:
            kind = kinds.FLOAT
            nodes = [helper.make_node("QuantizeLinear", ["x", "in_scale", "in_zero"], ["y"])]
        else:
            kind = kinds.INT8
            nodes = [
                helper.make_node("DequantizeLinear", ["x", "in_scale", "in_zero"], ["a"]),
                helper.make_node("Mul", ["a", "two"], ["b"]),
                helper.make_node("QuantizeLinear", ["b", "out_scale", "out_zero"], ["y"]),
            ]
        x = helper.make_tensor_value_info("x", kind, ["n", 1])
        y = helper.make_tensor_value_info("y", kinds.INT8, ["n", 1])
        graph = helper.make_graph(nodes, "int8", [x], [y], weights)
        opsets = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        if manifest:
            helper.set_model_props(model, {ONNX_KEY: manifest.to_json()})
        onnx.save(model, tmp_path / "int8.onnx")
        return tmp_path / "int8.onnx", tensor(*IN)

    return make


@pytest.fixture(params=["tflite", "onnx"])
def int8(request, tflite):
    """A maker of int8 files, once for each kind."""
    if request.param == "tflite":
        return lambda manifest=None: tflite("int8", manifest)
    make = request.getfixturevalue("int8_onnx")
    return lambda manifest=None: make(manifest)[0]


def test_float32_goes_in_and_comes_out(int8, describe):
    model = load(int8(describe_quantised(describe)))
    assert model.inputs == (tensor(*IN, "value"),)
    assert model.outputs == (tensor(*OUT, "twice"),)
    values = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
    twice = model.predict({"value": values})["twice"]
    assert twice.dtype == np.float32
    np.testing.assert_allclose(twice, values * 2, atol=OUT[0])
    steps = twice / np.float32(OUT[0])
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)  # they came from integers


def test_without_a_manifest_the_file_takes_its_own_integers(int8):
    model = load(int8())
    assert (model.inputs[0].dtype, model.inputs[0].quantization) == ("int8", None)
    assert model.predict({"x": np.array([[49]], np.int8)})["y"].tolist() == [[49]]
    with pytest.raises(InputError, match="does not convert without loss"):
        model.predict({"x": np.array([[0.5]], np.float32)})


def test_the_integers_may_be_described_as_such(int8, describe):
    plain = describe(
        inputs=(Tensor("value", (None, 1), "int8"),), outputs=(Tensor("twice", (None, 1), "int8"),)
    )
    model = load(int8(plain))
    assert model.predict({"value": np.array([[49]], np.int8)})["twice"].tolist() == [[49]]


def test_float32_without_quantisation_is_another_model(int8, describe):
    with pytest.raises(ModelError, match=r"says value float32\[n, 1\], the model has .* int8"):
        load(int8(describe()))


def test_a_float_file_needs_no_quantisation(double, describe):
    """A conversion that made the file float again keeps the manifest."""
    model = load(double(manifest=describe_quantised(describe)))
    assert (model.inputs[0].quantization, model.outputs[0].quantization) == (None, None)
    assert model.predict({"value": np.array([[0.3]], np.float32)})["twice"] == np.float32(0.6)


def test_the_command_line_speaks_float32(int8, describe, capsys):
    manifest = describe_quantised(
        describe, preprocessing={"value": [{"step": "scale", "factor": 0.01}]}
    )
    path = str(int8(manifest))
    assert infer.main([path, "--input", "50", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["answers"]
    assert answer == pytest.approx(1.0, abs=OUT[0])
    assert infer.main([path, "--bench", "0.01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bench"]["runs"] >= 1


def test_align_lets_integers_stand_for_float32_only_as_stated():
    wanted = [tensor(0.1, 200)]
    assert align([Tensor("a", (None, 1), "uint8")], wanted, "inputs") == [0]
    assert align([Tensor("a", (None, 1), "int16")], wanted, "inputs") == [0]
    for dtype in ("int8", "int32", "float16"):  # 200 is no int8
        with pytest.raises(ModelError, match="belongs to another model"):
            align([Tensor("a", (None, 1), dtype)], wanted, "inputs")


def test_the_manifest_keeps_it(describe):
    manifest = describe_quantised(describe)
    assert Manifest.from_json(manifest.to_json()) == manifest
    value = json.loads(manifest.to_json())
    assert value["format"] == 1
    assert value["inputs"][0]["quantization"] == {"scale": IN[0], "zero_point": -1}
    assert "quantization" not in json.loads(describe().to_json())["inputs"][0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quantization": None}, "quantization: expected an object with scale and zero_point"),
        ({"quantization": [1, 2]}, "quantization: expected an object"),
        ({"quantization": {"scale": 1}}, "quantization: expected an object"),
        ({"quantization": {"scale": 0, "zero_point": 0}}, "scale is 0"),
        ({"quantization": {"scale": 1e-60, "zero_point": 0}}, "scale is 1e-60"),
        ({"quantization": {"scale": float("nan"), "zero_point": 0}}, "scale is nan"),
        ({"quantization": {"scale": "1", "zero_point": 0}}, "scale is '1'"),
        ({"quantization": {"scale": True, "zero_point": 0}}, "scale is True"),
        ({"quantization": {"scale": 1, "zero_point": 0.0}}, "zero_point is 0.0"),
        ({"quantization": {"scale": 1, "zero_point": 40000}}, "zero_point is 40000"),
        ({"dtype": "int8"}, "stand for float32 only, not for int8"),
        ({"quantisation": 1}, "expected an object with name, shape and dtype"),
    ],
)
def test_a_wrong_quantisation_is_named(changes, words):
    value = tensor(1, 0).to_json() | changes
    with pytest.raises(ModelError, match=rf"inputs\[0\]\.?.*{words}"):
        Tensor.from_json(value, "manifest: inputs[0]")


def test_a_tflite_file_carries_it(describe, data):
    manifest = describe_quantised(describe)
    whole = append_to_tflite((data / "int8.tflite").read_bytes(), manifest)
    assert b'"zero_point": -1' in whole
