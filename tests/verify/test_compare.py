"""The pure comparison: scaled errors by property, decisions, and references that prove nothing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge.errors import EdgeError
from toolkit.verify import compare as module
from toolkit.verify.compare import judge, refuse_vacuous, scaled_error
from toolkit.verify.gates import gate_for

FP32 = gate_for("fp32")


def compare(reference, candidate, decision, tolerance, precision="int8"):
    """Without ties, which fp32 has."""
    return module.compare(reference, candidate, decision, tolerance, gate_for(precision))


numbers = st.floats(-100, 100, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3)
outputs = hnp.arrays(np.float64, (5, 3), elements=numbers)
varied = outputs.filter(lambda array: np.ptp(array) > 1e-2)
SCALES = [1.0, 1e15, 1e-14, 3e-30, 7e30]


@given(varied, outputs, st.sampled_from(SCALES), st.floats(-1e3, 1e3))
def test_an_error_has_no_unit(expected, got, scale, offset):
    plain = scaled_error(expected, got)
    assert scaled_error(scale * expected, scale * got) == pytest.approx(plain, rel=1e-9)
    moved = scaled_error(expected + offset, got + offset)
    assert moved == pytest.approx(plain, rel=1e-6, abs=1e-9)


@given(varied, st.floats(1e-6, 10), st.sampled_from(SCALES), st.integers(0, 14))
def test_an_error_is_the_greatest_difference_in_ranges(expected, size, scale, place):
    got = expected.copy()
    got.flat[place] += size * np.ptp(expected)
    assert scaled_error(scale * expected, scale * got) == pytest.approx(size, rel=1e-6)


@given(outputs)
def test_a_copy_has_no_error(expected):
    assert scaled_error(expected, expected.copy()) == 0
    result = compare({"y": expected}, {"y": expected.copy()}, "argmax", 0.0)
    assert (result.error, result.kept) == (0, 1)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("reference", [1.0, math.inf])
def test_what_is_no_number_is_infinitely_wrong(wrong, reference):
    expected = np.float32([[reference], [2.0], [3.0]])
    got = expected.copy()
    got[0] = wrong
    result = compare({"y": expected}, {"y": got}, "value", 1e9)
    assert result.error == math.inf
    assert result.kept == 0


@pytest.mark.parametrize(
    ("expected", "got", "error"),
    [
        ([5, 5, 5], [5, 5, 6], 0.2),  # a constant is measured by its size
        ([0, 0, 0], [0, 0, 0], 0),
        ([0, 0, 0], [0, 0, 1e-30], math.inf),
        ([4], [5], 0.25),
        ([-1, 1], [-1, 1.5], 0.25),
    ],
)
def test_references_of_no_range(expected, got, error):
    assert scaled_error(np.array(expected, float), np.array(got, float)) == error


def test_float32_is_compared_in_double_precision():
    expected, got = np.float32([[0.0], [1e8]]), np.float64([[0.0], [1e8 + 1]])
    assert scaled_error(expected, got) == pytest.approx(1e-8, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int64, np.bool_])
def test_integers_do_not_wrap_around(dtype):
    expected = np.array([[0], [1], [1]]).astype(dtype)
    got = np.array([[1], [0], [1]]).astype(dtype)
    result = compare({"y": expected}, {"y": got}, "value", 1.0)
    assert result.error == 1
    assert result.kept == 1
    assert compare({"y": expected}, {"y": got}, "value", 0.5).kept == pytest.approx(1 / 3)


def test_small_integers_that_are_far_apart_are_not_near():
    expected, got = np.int8([[100], [0]]), np.int8([[-128], [0]])
    assert compare({"y": expected}, {"y": got}, "value", 50.0).kept == 0.5


def test_the_worst_output_counts():
    one = np.float32([[0.0], [1.0]])
    result = compare({"a": one, "b": 100 * one}, {"b": 100 * one + 3, "a": one}, "value", 0.0)
    assert result.error == pytest.approx(0.03)
    worst_first = compare({"b": 100 * one, "a": one}, {"a": one, "b": 100 * one + 3}, "value", 0.0)
    assert worst_first.error == result.error
    assert result.kept == 1  # decided by the first output


@pytest.mark.parametrize(
    ("candidate", "match"),
    [
        ({}, r"outputs are \[\], expected \['y'\]"),
        ({"z": np.ones((3, 1))}, r"outputs are \['z'\], expected \['y'\]"),
        ({"y": np.ones((3, 1)), "z": np.ones((3, 1))}, r"\['y', 'z'\]"),
        ({"y": np.ones((3,))}, r"'y' has shape \(3,\), expected \(3, 1\)"),
        ({"y": np.ones((1, 3))}, r"'y' has shape \(1, 3\)"),
        ({"y": np.ones((2, 1))}, r"'y' has shape \(2, 1\)"),
    ],
)
def test_other_names_and_shapes_are_refused(candidate, match):
    with pytest.raises(ValueError, match=match):
        compare({"y": np.float32([[1], [2], [3]])}, candidate, "value", 0.1)


@pytest.mark.parametrize(
    ("decision", "expected", "got", "tolerance", "kept"),
    [
        ("argmax", [[1, 2], [3, 0], [0, 1]], [[1, 1.5], [1, 2], [0, 9]], 0.0, 2 / 3),
        ("argmax", [[1, 2], [3, 0]], [[2, 1], [0, 3]], 9.0, 0),
        ("sign", [[1], [-1], [0], [2]], [[0.1], [0.1], [0], [-1]], 9.0, 0.5),
        ("value", [[1], [2], [3]], [[1.05], [2.2], [3]], 0.1, 2 / 3),
        ("value", [[1, 1], [2, 2]], [[1, 1.05], [2, 2.2]], 0.1, 0.5),
        ("value", [[1], [2]], [[1.5], [1.5]], 0.5, 1),
    ],
)
def test_how_many_decisions_are_kept(decision, expected, got, tolerance, kept):
    reference, candidate = {"y": np.float64(expected)}, {"y": np.float64(got)}
    assert compare(reference, candidate, decision, tolerance).kept == pytest.approx(kept)


def test_a_decision_that_does_not_fit_is_refused():
    wide = {"y": np.ones((2, 3))}
    with pytest.raises(EdgeError, match="one value a sample"):
        compare(wide, wide, "sign", 0.0)


GOOD = np.float32([[1.0], [2.0]])


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ({"y": np.zeros((4, 2))}, "'y' is zero everywhere"),
        ({"y": np.full((4, 2), [1.0, 2.0])}, "'y' is the same for every sample"),
        ({"y": np.float32([[1], [np.nan]])}, "'y' holds NaN or infinity"),
        ({"y": np.float32([[1], [np.inf]])}, "'y' holds NaN or infinity"),
        ({"y": np.zeros((0, 2))}, "'y' is empty"),
        ({"y": np.zeros((3, 0))}, "'y' is empty"),
        ({"x": GOOD, "y": np.zeros((4, 2))}, "'y' is zero everywhere"),
        ({}, "no output"),
    ],
)
def test_references_that_prove_nothing(reference, reason):
    assert reason in refuse_vacuous(reference)


@pytest.mark.parametrize(
    "reference",
    [
        {"y": GOOD},
        {"y": np.float32([[5.0]])},  # a single sample may be the only one there is
        {"y": np.float32([[0, 0], [0, 1]])},
        {"y": 1e-30 * GOOD, "z": np.int64([[0], [1]])},
    ],
)
def test_references_that_prove_something(reference):
    assert refuse_vacuous(reference) == ""


@pytest.mark.parametrize("unit", [1.0, 1e15, 1e-14])
def test_noise_in_decibels_has_no_unit(unit):
    expected = unit * np.float64([[3], [4]])
    result = compare({"y": expected}, {"y": expected + 0.05 * unit}, "value", None)
    assert result.snr == pytest.approx(10 * math.log10(25 / 0.005))
    assert compare({"y": expected}, {"y": expected}, "value", None).snr == math.inf


def test_the_worst_place_is_named():
    one = {"a": np.float64([[0, 1], [2, 3]]), "b": np.float64([[1, 2], [3, 4]])}
    other = {"a": one["a"], "b": one["b"] + [[0, 0], [-0.5, 0]]}
    place = compare(one, other, "argmax", None).worst
    assert (place.output, place.index, place.expected, place.got) == ("b", (1, 0), 3, 2.5)
    assert str(place) == "output 'b' at [1, 0] is 2.5 instead of 3"
    other["b"][0, 1] = np.nan
    assert compare(one, other, "argmax", None).worst.index == (0, 1)


BOXES = np.stack([np.linspace(0, 640, 50), np.linspace(0, 1, 50) ** 2], axis=1)


@pytest.mark.parametrize("unit", [1.0, 1e15, 1e-14])
@pytest.mark.parametrize("shape", [(50, 2), (5, 10, 2)])
def test_a_column_is_judged_by_its_own_spread(unit, shape):
    expected = (unit * BOXES).reshape(shape)
    got = expected.copy()
    got[..., 1] = 0  # 1.6e-3 of the whole range
    result = compare({"y": expected}, {"y": got}, "value", None)
    assert (result.column.output, result.column.axis) == ("y", len(shape) - 1)
    assert result.column.number == 1
    assert result.column.error > 1
    assert judge(result, "int8", gate_for("int8")).startswith("output 'y': column 1 of axis")
    assert not judge(compare({"y": expected}, {"y": expected}, "value", None), "fp32", FP32)


def test_columns_before_the_boxes_are_judged_too():
    expected = BOXES.T.reshape(1, 2, 50)
    got = expected * [[[1], [0]]]
    assert compare({"y": expected}, {"y": got}, "value", None).column.error > 1


def test_classes_are_no_columns_but_further_outputs_are():
    got = BOXES * [1, 0]
    assert compare({"y": BOXES}, {"y": got}, "argmax", None).column is None
    column = compare({"c": BOXES, "y": BOXES}, {"c": BOXES, "y": got}, "argmax", None).column
    assert (column.output, column.number) == ("y", 1)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_columns_that_are_constant_up_to_rounding_are_left_out(precision):
    rounding = gate_for(precision).rounding
    random = np.random.default_rng(0)
    constant = 7 * (1 + rounding * 0.9 * random.uniform(-1, 1, 50))
    expected = np.stack([BOXES[:, 0], constant, np.zeros(50)], axis=1)
    got = expected + np.float64([0, 7 * rounding, 0])
    assert compare({"y": expected}, {"y": got}, "value", None, precision).column.error == 0


@pytest.mark.parametrize(("margin", "kept", "accounted"), [(9e-5, 0.5, 1), (2e-4, 0.5, 0.5)])
@pytest.mark.parametrize("unit", [1.0, 1e15, 1e-14])
def test_a_tie_may_fall_either_way_in_fp32(unit, margin, kept, accounted):
    expected = unit * np.float64([[0, 0.5, 0.5 + margin], [0, 0, 1]])
    got = unit * np.float64([[0, 0.5 + margin, 0.5], [0, 0, 1]])
    result = compare({"y": expected}, {"y": got}, "argmax", None, "fp32")
    assert (result.kept, result.accounted) == (kept, accounted)
    assert compare({"y": expected}, {"y": got}, "argmax", None, "int8").accounted == 0.5


def test_a_sign_near_zero_is_a_tie_in_fp32():
    expected, got = np.float64([[5e-5], [1]]), np.float64([[-5e-5], [1]])
    result = compare({"y": expected}, {"y": got}, "sign", None, "fp32")
    assert (result.kept, result.accounted) == (0.5, 1)


@pytest.mark.parametrize("unit", [1.0, 1e15, 1e-14])
def test_a_value_without_a_tolerance_may_move_by_a_share_of_the_range(unit):
    expected = unit * np.float64([[0], [1]])
    near, far = expected + 0.04 * unit, expected + 0.06 * unit
    assert compare({"y": expected}, {"y": near}, "value", None).kept == 1
    assert compare({"y": expected}, {"y": far}, "value", None).kept == 0
