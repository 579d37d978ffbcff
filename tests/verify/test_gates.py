"""Limits by precision, and what a user's own limits change."""

import pytest

from toolkit.artifacts import PRECISIONS
from toolkit.errors import UsageError
from toolkit.verify.gates import gate_for, loosest

INTEGERS = ("int8", "int8-float", "dynamic")


@pytest.mark.parametrize(
    ("precision", "limits"),
    [
        ("fp32", (1e-4, 0.999, 0.001)),
        ("fp16", (1e-2, 0.99, 0.005)),
        ("16x8", (None, 0.99, 0.005)),
        *((name, (None, 0.95, 0.01)) for name in INTEGERS),
    ],
)
def test_limits(precision, limits):
    gate = gate_for(precision)
    assert (gate.error, gate.agreement, gate.drop) == limits
    assert not gate.strict
    assert gate.column == (1e-2 if precision.startswith("fp") else 0.2)


def test_every_precision_has_a_gate():
    assert all(gate_for(name).agreement for name in PRECISIONS)


def test_own_limits_replace_the_precision_s():
    gate = gate_for("int8", min_agreement=0.5, max_drop=0.0)
    assert (gate.error, gate.agreement, gate.drop, gate.strict) == (None, 0.5, 0.0, True)
    assert gate_for("fp32", min_agreement=0.0).agreement == 0
    assert not gate_for("fp32", min_agreement=0.0).strict


def test_an_unknown_precision_is_refused():
    with pytest.raises(UsageError, match="no gate for precision 'int3'; there is fp32, fp16"):
        gate_for("int3")


@pytest.mark.parametrize(
    ("precision", "count", "tie"),
    [
        ("fp32", 9, 1e-4),
        ("fp32", 5000, 1e-4),
        ("fp16", 99, 1e-2),  # one decision of them would be too many
        ("fp16", 101, 1e-4),
        ("int8", 9, 0),
    ],
)
def test_what_is_a_tie(precision, count, tie):
    assert gate_for(precision).tie(count) == tie


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ((), "fp32"),
        (("fp32", "fp16"), "fp16"),
        (("int8", "fp32"), "int8"),
        (("16x8", "int8"), "int8"),
        (("float32",), "fp32"),  # a manifest from elsewhere
    ],
)
def test_the_loosest_of_two(names, wanted):
    assert loosest(*names) == wanted
