"""The first bad layer: the rule, the search by value, and the readers of files."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from toolkit.export.quantise import quantise
from toolkit.verify import layers_onnx
from toolkit.verify.layers import (
    LayerError,
    Pool,
    Tap,
    first_bad,
    first_lost,
    layer_errors,
    relative_noise,
)

RANDOM = np.random.default_rng(0)


def tap(name, values, inputs=(), operator="Conv", given=()):
    return Tap(name, operator, tuple(inputs), np.asarray(values, np.float32), tuple(given))


def error(name, value, before=0.0):
    return LayerError(name, "Conv", value, before)


def test_the_layer_that_jumps_is_bad_and_not_the_worst():
    pairs = [error("a", 0.02), error("b", 0.04, 0.02), error("c", 0.5, 0.04), error("d", 0.9, 0.5)]
    assert first_bad(pairs) == pairs[2]


def test_rounding_that_adds_up_blames_no_layer():
    assert first_bad([error("a", 0.05), error("b", 0.12, 0.05), error("c", 0.3, 0.12)]) is None
    assert first_bad([]) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number_is_bad(value):
    pairs = [error("a", 0.01), error("b", value, 0.01)]
    assert first_bad(pairs) == pairs[1]


@given(st.lists(st.floats(0, 0.099), max_size=8))
def test_errors_below_a_tenth_are_never_bad(errors):
    assert first_bad([error(str(i), value) for i, value in enumerate(errors)]) is None


@given(st.floats(1e-30, 1e30), st.floats(-5, 5))
def test_noise_has_no_unit(scale, shift):
    expected = np.linspace(0, 1, 50) + shift
    noise = relative_noise(expected * scale, (expected + 0.01) * scale)
    assert noise == pytest.approx(0.01 / expected.std(), rel=1e-4)


def test_an_error_passes_through_a_tensor_that_was_fused_away():
    values = RANDOM.normal(size=(1, 4, 5))
    reference = [
        tap("conv", values, ["x"]),
        tap("inner", values, ["conv", "weight"]),
        tap("relu", values, ["inner"], "Relu"),
    ]
    candidate = [tap("conv", values * 2, ["x"]), tap("relu", values * 2, ["conv"], "Conv")]
    found = layer_errors(reference, candidate)
    assert [(one.name, one.operator) for one in found] == [("conv", "Conv"), ("relu", "Conv")]
    assert found[1].before == found[0].error > 0.9
    assert first_bad(found) == found[0]


def test_a_parallel_branch_takes_no_blame_for_the_other():
    good, bad = RANDOM.normal(size=(2, 1, 4, 5))
    reference = [tap("left", good, ["x"]), tap("right", bad, ["x"]), tap("sum", good, ["left"])]
    candidate = [tap("left", good), tap("right", -bad), tap("sum", good)]
    assert first_bad(layer_errors(reference, candidate)).name == "right"


@given(st.permutations(range(4)), st.booleans())
def test_values_are_found_in_any_layout(axes, flat):
    values = np.random.default_rng(1).normal(size=(2, 3, 4, 5))
    stored = values.transpose(axes)
    assert Pool([stored.reshape(-1) if flat else stored], 1e-6).distance(
        values.transpose(axes).reshape(2, -1) if flat else values
    ) == pytest.approx(0, abs=1e-9)


def test_the_same_values_in_another_order_are_others():
    values = RANDOM.normal(size=(1, 6, 10))
    assert not Pool([values[..., ::-1]], 1e-4).holds(values)
    assert Pool([values[..., ::-1], values], 1e-4).holds(values)
    assert Pool([values[..., :5]], 1e-4).distance(values) == np.inf


def chain(*names):
    """Layers that each take what the one before made."""
    arrays = list(RANDOM.normal(size=(len(names) + 1, 1, 3, 7)).astype(np.float32))
    return [Tap(name, "Layer", (), arrays[i + 1], (arrays[i],)) for i, name in enumerate(names)]


def test_a_layer_that_was_fused_into_the_next_is_not_lost():
    layers = chain("conv", "norm", "relu", "dense")
    assert first_lost(layers, Pool([layers[2].values, layers[3].values], 1e-4)) is None


def test_the_first_layer_from_which_nothing_leads_on_is_lost():
    layers = chain("conv", "relu", "conv2", "relu2", "dense")
    assert first_lost(layers, Pool([layers[1].values], 1e-4)).name == "conv2"
    assert first_lost(layers, Pool([], 1e-4)).name == "conv"


def test_code_between_layers_leads_on():
    conv, dense = chain("conv", "dense")
    after_code = np.maximum(conv.values, 0)
    dense = Tap("dense", "Layer", (), dense.values, (after_code,))
    assert first_lost([conv, dense], Pool([after_code], 1e-4)).name == "dense"


def test_a_lost_branch_is_found_behind_a_good_one():
    x, left, right, both = RANDOM.normal(size=(4, 1, 3, 7)).astype(np.float32)
    layers = [
        Tap("right", "Layer", (), right, (x,)),
        Tap("left", "Layer", (), left, (x,)),
        Tap("both", "Layer", (), both, (left, right)),
    ]
    assert first_lost(layers, Pool([left], 1e-4)).name == "right"


def make_network():
    """Three products with rectifiers between them, opset 17."""
    random = np.random.default_rng(3)
    sizes = [12, 24, 24, 5]
    nodes, weights, name = [], [], "x"
    for i in range(3):
        matrix = (random.normal(size=sizes[i : i + 2]) / sizes[i] ** 0.5).astype(np.float32)
        weights.append(numpy_helper.from_array(matrix, f"w{i}"))
        made = "y" if i == 2 else f"product{i}"
        nodes.append(helper.make_node("MatMul", [name, f"w{i}"], [made]))
        name = made
        if i < 2:
            nodes.append(helper.make_node("Relu", [name], [f"relu{i}"]))
            name = f"relu{i}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in (("x", 12), ("y", 5))
    ]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], weights)
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def rescaled(content, name, factor):
    model = onnx.load_from_string(content)
    (tensor,) = [t for t in model.graph.initializer if t.name == name]
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array((values * factor).astype(values.dtype), name))
    return model.SerializeToString()


@pytest.fixture(scope="module")
def network():
    """An fp32 file, samples, and its int8 form."""
    content = make_network()
    inputs = {"x": np.random.default_rng(4).normal(size=(128, 12)).astype(np.float32)}
    return content, inputs, quantise(content, "onnx", "int8", inputs)


def errors_of(network, changed):
    content, inputs, _ = network
    feeds = [{"x": inputs["x"][:8]}]
    return layer_errors(*(layers_onnx.record(file, None, feeds) for file in (content, changed)))


def test_an_int8_onnx_file_has_no_bad_layer(network):
    errors = errors_of(network, network[2])
    assert [one.name for one in errors] == ["product0", "relu0", "product1", "relu1", "y"] or [
        one.name for one in errors
    ] == ["relu0", "relu1", "y"]
    assert 0 < max(one.error for one in errors) < 0.1
    assert first_bad(errors) is None


@pytest.mark.parametrize(
    ("scale", "factor", "layer"),
    [("w1_scale", 6, "relu1"), ("relu0_scale", 1 / 20, "relu0"), ("w2_scale", 6, "y")],
)
def test_a_wrong_scale_in_onnx_is_found(network, scale, factor, layer):
    bad = first_bad(errors_of(network, rescaled(network[2], scale, factor)))
    assert (bad.name, bad.operator) == (layer, "MatMul")


def test_a_file_of_a_fixed_batch_is_run_several_times(network):
    content, inputs, _ = network
    feeds = [{"x": inputs["x"][i : i + 2]} for i in (0, 2, 4)]
    taps = layers_onnx.record(content, None, feeds)
    assert {one.name: one.values.shape for one in taps}["y"] == (3, 2, 5)
    whole = layers_onnx.answer_by_reference(content, feeds)["y"]
    np.testing.assert_allclose(taps[-1].values.reshape(6, 5), whole, atol=1e-5)
