"""Scales, ticks, numbers, and curves of any values."""

import math
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.report.curves import Chart, Curve, charts_of, draw
from toolkit.report.facts import Measured
from toolkit.report.plot import number, scale, spread
from toolkit.report.scatter import scatter
from toolkit.report.words import duration, latency, percent, points, size

SPACE = "\N{NO-BREAK SPACE}"
finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30)


@given(st.lists(finite, min_size=1, max_size=20))
def test_every_value_has_a_place_between_the_ends(values):
    axis = scale(values, 200.0, 10.0)
    assert all(10 - 0.01 <= axis(value) <= 200.01 for value in values)
    assert len(axis.ticks) >= 1
    assert len(axis.ticks) <= 12
    assert all(math.isfinite(axis(tick)) for tick in axis.ticks)


def test_great_ratios_are_logarithmic():
    axis = scale([1e-8, 1.0], 0, 80)
    assert axis.logarithmic
    assert axis(1e-4) == pytest.approx(40)
    assert not scale([0.5, 1.0], 0, 1).logarithmic
    assert not scale([-1.0, 100.0], 0, 1).logarithmic


@pytest.mark.parametrize(
    ("last", "ticks"), [(1, (1,)), (3, (1, 2, 3)), (500, (100, 200, 300, 400, 500))]
)
def test_epochs_are_whole_numbers(last, ticks):
    assert scale([1, last], 0, 100, whole=True).ticks == ticks


def test_an_accuracy_has_no_tick_above_one():
    assert max(scale([0.91, 0.99], 0, 1, most=1.0).ticks) <= 1.0
    assert max(scale([0.3, 1.0], 0, 1, most=1.0).ticks) == 1.0


@pytest.mark.parametrize(
    ("value", "told"),
    [
        *[(0.0, "0"), (0.25, "0.25"), (1437.0, "1437"), (12345.0, "12,345"), (None, "-")],
        *[(3.5e-11, "3.5e-11"), (float("nan"), "-"), (float("inf"), "-"), (-0.5, "-0.5")],
        *[(1e12, "1e12"), (9999.7, "10000"), (99999.6, "100,000")],
    ],
)
def test_numbers(value, told):
    assert number(value) == told


def test_words():
    assert [size(932), size(12300), size(4e6), size(None)] == [
        *(f"932{SPACE}B", f"12.3{SPACE}kB", f"4.0{SPACE}MB", "-")
    ]
    assert [duration(0.8), duration(700), duration(7200)] == [
        *(f"0.8{SPACE}s", f"12{SPACE}min", f"2.0{SPACE}h")
    ]
    assert latency(9.06) == f"9.06{SPACE}µs"
    assert latency(1234) == f"1.23{SPACE}ms"
    assert [percent(1.0), percent(0.99999), percent(0.5)] == [
        *(f"100{SPACE}%", f"99.9{SPACE}%", f"50{SPACE}%")
    ]
    assert [points("accuracy", 0.0028), points("accuracy", -1.0)] == [f"0.28{SPACE}points", "none"]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=4))
def test_labels_do_not_overlap_where_there_is_room(places):
    found = sorted(spread(places, 20, 0, 100))
    assert all(b - a >= 20 - 1e-6 for a, b in pairwise(found))
    assert found[-1] <= 100


def curve(*values, framework="tf", validation=True):
    return Curve(framework, validation, tuple(enumerate(values, 1)))


def drawn(chart):
    return ElementTree.fromstring(draw(chart))


def test_rows_become_charts_with_the_loss_first():
    rows = [
        {"framework": "torch", "epoch": 1, "step": 9, "time": 1.0, "mae": 0.1, "loss": 1.0},
        {"framework": "tf", "epoch": 1, "step": 9, "time": 1.0, "loss": None, "val_mae": 0.2},
        {"framework": "tf", "step": 9, "loss": 1.0},  # no epoch
        {"framework": "tf", "epoch": 2, "note": "text", "loss": float("inf")},
    ]
    charts = charts_of(rows)
    assert [chart.name for chart in charts] == ["loss", "mae"]
    assert charts[0].curves[0] == Curve("tf", False, ((1, None), (2, None)))
    assert [(c.framework, c.validation) for c in charts[1].curves] == [
        *(("tf", True), ("torch", False))
    ]
    assert charts_of([]) == ()


def test_both_frameworks_are_in_one_drawing_with_labels_and_titles():
    tree = drawn(Chart("loss", (curve(3.0, 1.0), curve(2.0, 0.5, framework="torch"))))
    told = "".join(tree.itertext())
    assert "TensorFlow" in told
    assert "PyTorch, validation, epoch 2: loss 0.5" in told
    plot = next(s for s in tree.iter("svg") if s.get("role") == "img")
    ids = {each.get("id") for each in plot.iter()} - {None}
    assert set(plot.get("aria-labelledby").split()) == ids


def test_a_single_epoch_is_a_point():
    tree = drawn(Chart("loss", (curve(1.0),)))
    assert len(list(tree.iter("circle"))) == 1
    assert not list(tree.iter("polyline"))


def test_values_that_are_missing_cut_the_line():
    tree = drawn(Chart("loss", (curve(1.0, 2.0, None, 3.0, 4.0, float("nan"), 5.0),)))
    assert len(list(tree.iter("polyline"))) == 2
    assert len(list(tree.iter("circle"))) == 5
    assert "2 values were NaN or infinite" in "".join(tree.itertext())


def test_a_training_that_diverged_says_so():
    tree = drawn(Chart("loss", (curve(None, float("inf")),)))
    assert "No value is finite" in "".join(tree.itertext())
    assert not [s for s in tree.iter("svg") if s.get("role")]


def test_long_trainings_have_no_points():
    tree = drawn(Chart("loss", (curve(*(1 / n for n in range(1, 500))),)))
    assert not list(tree.iter("circle"))


@given(st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=6))
def test_any_values_can_be_drawn(values):
    drawn(Chart("loss", (curve(*values), curve(*values, framework="other", validation=False))))


def test_files_are_points_with_the_number_of_their_row():
    rows = [Measured(f"<{n}>", "tf", "onnx", 1000, p50_us=5.0, score=0.9) for n in range(5)]
    tree = ElementTree.fromstring(scatter([Measured("a", "tf", "tflite", 1), *rows], "latency"))
    plot = next(s for s in tree.iter("svg") if s.get("role") == "img")
    numbers = [e.find("text").text for e in plot.iter("g") if "point" in e.get("class", "")]
    assert numbers == ["2", "3", "4", "5", "6"]
    assert scatter([Measured("a", "tf", "tflite", 1)], "latency") is None
