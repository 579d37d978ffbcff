"""One file in one runtime: real ONNX and TFLite files, right ones and broken ones."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toolkit.verify.check import Answer, Question, check, judge

TFLITE = Path(__file__).parents[1] / "edge" / "data" / "double.tflite"


@pytest.fixture
def question(golden):
    """What a file of y = 2x is asked: golden vectors, and 8 for 4."""
    probe = {"x": np.float32([[4.0]])}
    return Question(golden.inputs, golden, probe, 8.0, 0.05, "value", 0.05)


@pytest.fixture
def ask(export_of, question):
    """Check content: ask(content, probe=None, ...)."""

    def ask(content, **fields):
        return check(content, export_of(content), replace(question, **fields))

    return ask


def test_a_right_file_passes(ask, onnx_file):
    answer = ask(onnx_file())
    assert answer == Answer(answer.runtime, 8.0, 0.0, 1.0, "")
    assert answer.runtime.startswith("onnxruntime ")


def test_a_right_file_without_a_probe_passes(ask, onnx_file):
    answer = ask(onnx_file(), probe=None)
    assert (answer.probe, answer.reason) == (None, "")


def test_rounding_is_allowed(ask, onnx_file):
    answer = ask(onnx_file(factor=2.00001))
    assert 0 < answer.error < 1e-4
    assert answer.reason == ""


@pytest.mark.parametrize(
    ("change", "fields", "reason"),
    [
        ({"factor": 3.0}, {}, r"error 2\.5e-01 is above the limit 1e-04 for fp32"),
        ({"factor": 2.001}, {}, r"error 2\.5e-04 is above the limit"),
        ({"factor": 2.00001}, {"tolerance": 1e-6}, r"88\.9% of the decisions changed"),
        ({}, {"expected": 9.0}, r"the probe answers 8, expected 9"),
        (
            {},
            {"expected": 8.0001, "probe_tolerance": 0.0},
            r"the probe answers 8, expected 8\.0001",
        ),
        ({"factor": np.nan}, {}, r"error inf is above the limit"),
        ({"operator": "Div", "factor": 0.0}, {}, r"error inf is above the limit"),
    ],
)
def test_a_wrong_file_fails_and_says_why(ask, onnx_file, change, fields, reason):
    answer = ask(onnx_file(**change), **fields)
    assert answer.runtime.startswith("onnxruntime ")
    assert re.search(reason, answer.reason), answer.reason


@pytest.mark.parametrize("decision", ["sign", "argmax"])
def test_nan_where_a_decision_is_needed_fails(ask, onnx_file, decision):
    columns = 1 if decision == "sign" else 2
    inputs = {"x": np.ones((9, columns), np.float32)}
    answer = ask(onnx_file(np.nan, columns=columns), decision=decision, inputs=inputs, probe=inputs)
    assert "NaN" in answer.reason


@pytest.mark.parametrize(
    ("decision", "factor", "probe", "expected", "reason"),
    [
        ("argmax", 2.0, [[0, 1]], 1, ""),
        ("argmax", 2.0, [[0, 1]], 0, "the probe answers 1, expected 0"),
        ("argmax", -2.0, [[0, 1]], 1, "error"),
    ],
)
def test_the_probe_is_decided_like_the_rest(
    ask, onnx_file, golden, decision, factor, probe, expected, reason
):
    x = np.float32([[0, 1], [2, 1], [-1, -3]])
    vectors = replace(golden, inputs={"x": x}, outputs={"y": 2 * x})
    asked = {"probe": {"x": np.float32(probe)}, "expected": expected, "probe_tolerance": 0.0}
    content = onnx_file(factor, columns=2)
    answer = ask(content, decision=decision, inputs={"x": x}, golden=vectors, **asked)
    assert answer.reason.startswith(reason)
    assert bool(answer.reason) == bool(reason)


def damaged(content):
    return {
        "empty": b"",
        "text": b"not a model",
        "zeros": bytes(1000),
        "cut": content[: len(content) // 2],
        "an image": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "json": b'{"a": 1}',
    }


@pytest.mark.parametrize("name", sorted(damaged(b"")))
def test_what_is_no_model_fails_and_does_not_raise(ask, onnx_file, name):
    answer = ask(damaged(onnx_file())[name])
    assert answer.reason
    assert (answer.probe, answer.error, answer.kept) == (None, None, None)
    assert "/tmp" not in answer.reason  # the user does not know the temporary file


@pytest.mark.parametrize("position", range(0, 300, 7))
def test_a_flipped_byte_never_raises(ask, onnx_file, position):
    content = bytearray(onnx_file())
    content[position % len(content)] ^= 0xFF
    assert isinstance(ask(bytes(content)), Answer)


def test_other_names_than_the_golden_vectors_fail(ask, onnx_file):
    answer = ask(onnx_file(names=False))
    assert "'x'" in answer.reason


def test_a_tflite_file_runs_in_its_own_runtime(question, export_of, golden):
    content = TFLITE.read_bytes()
    export = export_of(content, "exports/job.tflite", target="tflite")
    vectors = replace(golden, outputs={"y": golden.outputs["y"]})
    answer = check(content, export, replace(question, golden=vectors))
    assert answer == Answer(answer.runtime, 8.0, 0.0, 1.0, "")
    assert answer.runtime.startswith("LiteRT ")
    cut = check(content[:200], export, question)
    assert cut.reason


@pytest.mark.parametrize(
    ("error", "kept", "probe", "reason"),
    [
        (1e-4, 1.0, 8.04, ""),
        (0.0, 1.0, None, ""),
        (1.01e-4, 1.0, 8.0, "error"),
        (float("nan"), 1.0, 8.0, "error"),
        (float("inf"), 1.0, 8.0, "error"),
        (0.0, 0.999, 8.0, "0.1% of the decisions changed"),
        (0.0, 1.0, 8.06, "the probe"),
        (0.0, 1.0, float("nan"), "the probe"),
    ],
)
def test_judging_at_the_limits(question, error, kept, probe, reason):
    assert judge("fp32", error, kept, probe, question).startswith(reason)
    assert bool(judge("fp32", error, kept, probe, question)) == bool(reason)
