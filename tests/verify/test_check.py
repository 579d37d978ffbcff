"""One file in one runtime: real ONNX and TFLite files, right ones and broken ones."""

import re
from dataclasses import replace

import numpy as np
import pytest

from toolkit.artifacts import Golden
from toolkit.card import Card
from toolkit.specs import Probe
from toolkit.verify.check import Answer, Evaluation, Question, check
from toolkit.verify.gates import gate_for


@pytest.fixture
def question(golden):
    """What a file of y = 2x is asked: golden vectors, and 8 for 4."""
    card = Card("job", probe=Probe(4.0, 8.0, 0.05), input_name="x")
    probe = {"x": np.float32([[4.0]])}
    return Question(golden.inputs, golden, card, probe, 0.05)


@pytest.fixture
def ask(export_of, question):
    """Check content: ask(content, precision="fp32", probe=None, ...)."""

    def ask(content, precision="fp32", max_drop=None, **fields):
        export = export_of(content, precision=precision)
        gate = gate_for(precision, max_drop=max_drop)
        return check({"": content}, export, replace(question, **fields), gate)

    return ask


def with_probe(question, expected, tolerance=0.05):
    return replace(question.card, probe=Probe(4.0, expected, tolerance))


def test_a_right_file_passes(ask, onnx_file):
    answer = ask(onnx_file())
    assert (answer.probe, answer.reason, answer.drop) == (8.0, "", None)
    assert (answer.result.error, answer.result.kept) == (0, 1)
    assert answer.runtime.startswith("onnxruntime ")


def test_a_right_file_without_a_probe_passes(ask, onnx_file):
    answer = ask(onnx_file(), probe=None)
    assert (answer.probe, answer.reason) == (None, "")


def test_rounding_is_allowed(ask, onnx_file):
    answer = ask(onnx_file(factor=2.00001))
    assert 0 < answer.result.error < 1e-4
    assert answer.reason == ""


@pytest.mark.parametrize(
    ("change", "precision", "reason"),
    [
        ({"factor": 3.0}, "fp32", r"error 2\.5e-01 is above the limit 1e-04 for fp32"),
        ({"factor": 2.001}, "fp32", r"error 2\.5e-04 is above the limit"),
        ({"factor": 2.001}, "fp16", ""),
        ({"factor": 2.05}, "int8", r"66\.7% of the values moved by more than 0\.05"),
        ({"factor": np.nan}, "fp32", r"error inf is above the limit"),
        ({"factor": np.nan}, "int8", r"error inf"),
        ({"operator": "Div", "factor": 0.0}, "fp32", r"error inf is above the limit"),
    ],
)
def test_a_wrong_file_fails_and_says_why(ask, onnx_file, change, precision, reason):
    answer = ask(onnx_file(**change), precision)
    assert answer.runtime.startswith("onnxruntime ")
    assert re.search(reason, answer.reason), answer.reason
    assert bool(answer.reason) == bool(reason)


@pytest.mark.parametrize(
    ("expected", "tolerance", "reason"),
    [
        (8.0, 0.0, ""),
        (8.04, 0.05, ""),
        (9.0, 0.05, "the probe answers 8, expected 9"),
        (8.0001, 0.0, "the probe answers 8, expected 8.0001"),
    ],
)
def test_the_probe(ask, question, onnx_file, expected, tolerance, reason):
    assert ask(onnx_file(), card=with_probe(question, expected, tolerance)).reason == reason


@pytest.mark.parametrize("decision", ["sign", "argmax"])
def test_nan_where_a_decision_is_needed_fails(ask, onnx_file, golden, decision):
    columns = 1 if decision == "sign" else 2
    inputs = {"x": np.ones((9, columns), np.float32)}
    content = onnx_file(np.nan, columns=columns, decision=decision)
    vectors = replace(golden, inputs=inputs, outputs={"y": 2 * inputs["x"]})
    card = Card("job", decision=decision, input_name="x")
    answer = ask(content, inputs=inputs, probe=inputs, golden=vectors, card=card)
    assert "NaN" in answer.reason


@pytest.mark.parametrize(
    ("factor", "probe", "expected", "reason"),
    [
        (2.0, [[0, 1]], 1, ""),
        (2.0, [[0, 1]], 0, "the probe answers 1, expected 0"),
        (-2.0, [[0, 1]], 1, "error"),
    ],
)
def test_the_probe_is_decided_like_the_rest(
    ask, onnx_file, golden, factor, probe, expected, reason
):
    x = np.float32([[0, 1], [2, 1], [-1, -3]])
    card = Card("job", decision="argmax", probe=Probe(0.0, expected, 0.0), input_name="x")
    answer = ask(
        onnx_file(factor, columns=2, decision="argmax"),
        inputs={"x": x},
        golden=replace(golden, inputs={"x": x}, outputs={"y": 2 * x}),
        card=card,
        probe={"x": np.float32(probe)},
    )
    assert answer.reason.startswith(reason)
    assert bool(answer.reason) == bool(reason)


def evaluation(count=2000, noise=0.0):
    x = np.random.default_rng(0).normal(size=(count, 1)).astype(np.float32)
    return Evaluation({"x": x}, {"y": 2 * x}, 2 * x + noise)


def test_the_metric_is_measured_on_all_samples(ask, onnx_file, question):
    card = replace(question.card, metrics=("mae", "mse"))
    answer = ask(onnx_file(factor=2.002), "fp16", card=card, evaluation=evaluation())
    drop = answer.drop
    assert (drop.metric, drop.before, drop.samples) == ("mae", 0, 2000)
    assert drop.after == pytest.approx(0.002 * np.sqrt(2 / np.pi), rel=0.05)
    assert drop.drop == pytest.approx(0.001 * np.sqrt(2 / np.pi), rel=0.05)  # targets: 2 wide
    assert answer.reason == ""
    told = ask(onnx_file(factor=2.02), "fp16", card=card, evaluation=evaluation()).reason
    assert told.startswith("mae drops by 0.8")
    low = ask(onnx_file(factor=2.002), "fp16", card=card, evaluation=evaluation(), max_drop=0.0)
    assert low.reason.startswith("mae drops by 0.08%")


def test_without_a_metric_or_targets_nothing_is_measured(ask, onnx_file, question):
    card = replace(question.card, metrics=("mae",))
    assert ask(onnx_file(), evaluation=evaluation()).drop is None
    assert ask(onnx_file(), card=card).drop is None


def test_golden_vectors_that_stand_in_are_not_run_again(ask, onnx_file, question, golden):
    card = replace(question.card, metrics=("mae",))
    stands_in = Evaluation(golden.inputs, golden.outputs, golden.targets)
    answer = ask(onnx_file(), card=card, evaluation=stands_in)
    assert (answer.drop.samples, answer.drop.drop, answer.reason) == (9, 0, "")


def test_targets_that_do_not_fit_fail_the_check(ask, onnx_file, question, golden):
    card = replace(question.card, metrics=("mae",))
    wrong = Evaluation(golden.inputs, golden.outputs, golden.targets[:4])
    assert "reshape" in ask(onnx_file(), card=card, evaluation=wrong).reason


SCALE = {"step": "scale", "factor": 2.0}
TURN = {"step": "transpose", "axes": [0]}


@pytest.mark.parametrize(
    ("said", "meant", "reason"),
    [
        ({}, {}, ""),
        ({"labels": ("a", "b")}, {"labels": ("a", "b")}, ""),
        ({"labels": ("a", "b")}, {"labels": ("b", "a")}, r'labels differ .*: \["a", "b"\] instead'),
        ({"labels": ("a",)}, {}, "labels differ"),
        ({}, {"labels": ("a",)}, "labels differ"),
        ({"decision": "sign"}, {}, 'decision differ from the model\'s: "sign" instead of "value"'),
        ({"preprocessing": {"x": [SCALE]}}, {"preprocessing": (SCALE,)}, ""),
        ({"preprocessing": {"x": [SCALE, TURN]}}, {"preprocessing": (SCALE,)}, ""),
        ({"preprocessing": {"x": [SCALE, SCALE]}}, {"preprocessing": (SCALE,)}, "preprocessing"),
        ({"preprocessing": {"x": [TURN, SCALE]}}, {"preprocessing": (SCALE,)}, "preprocessing"),
        ({"preprocessing": {"x": [TURN, TURN]}}, {}, "preprocessing"),
        ({}, {"preprocessing": (SCALE,)}, "preprocessing"),
        ({"preprocessing": {"x": [SCALE]}}, {}, "preprocessing"),
        ({"postprocessing": [SCALE]}, {"postprocessing": (SCALE,)}, ""),
        ({"postprocessing": [SCALE]}, {}, r"postprocessing differ .* instead of \[\]; export"),
        ({}, {"postprocessing": (SCALE,)}, "postprocessing differ"),
    ],
)
def test_the_manifest_must_say_what_the_model_means(ask, onnx_file, question, said, meant, reason):
    answer = ask(onnx_file(**said), card=replace(question.card, **meant))
    assert re.search(reason, answer.reason), answer.reason
    assert bool(answer.reason) == bool(reason)
    assert (answer.result is None) == bool(reason)


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
    assert (answer.probe, answer.result) == (None, None)
    assert "/tmp" not in answer.reason  # the user does not know the temporary file


@pytest.mark.parametrize("position", range(0, 300, 7))
def test_a_flipped_byte_never_raises(ask, onnx_file, position):
    content = bytearray(onnx_file())
    content[position % len(content)] ^= 0xFF
    assert isinstance(ask(bytes(content)), Answer)


def test_a_file_without_a_manifest_fails(ask, onnx_file):
    assert ask(onnx_file(names=False)).reason == "the file carries no manifest; export it again"


def test_a_file_from_elsewhere_needs_none_but_the_right_names(export_of, question, onnx_file):
    content = onnx_file(names=False)
    export, gate = export_of(content, framework="onnx"), gate_for("fp32")
    assert "'x'" in check({"": content}, export, question, gate).reason
    named = {
        "inputs": {"in": question.inputs["x"]},
        "golden": Golden({}, {"out": question.golden.outputs["y"]}, question.golden.targets),
        "card": replace(question.card, input_name="in"),
        "probe": {"in": question.probe["x"]},
    }
    answer = check({"": content}, export, replace(question, **named), gate)
    assert (answer.reason, answer.probe) == ("", 8.0)


def test_a_tflite_file_runs_in_its_own_runtime(question, export_of, tflite_file):
    content = tflite_file()
    export = export_of(content, "exports/job.tflite", target="tflite")
    answer = check({"": content}, export, question, gate_for("fp32"))
    assert (answer.probe, answer.result.error, answer.reason) == (8.0, 0, "")
    assert answer.runtime.startswith("LiteRT ")
    assert check({"": content[:200]}, export, question, gate_for("fp32")).reason


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_file_of_a_fixed_batch_gets_its_batches(question, export_of, tflite_file, count):
    content = tflite_file("fixed", batch=2)
    x = np.arange(count, dtype=np.float32)[:, None] + 1
    vectors = Golden({"x": x}, {"y": 2 * x}, x)
    export = export_of(content, "exports/job.tflite", target="tflite", batch=2)
    asked = replace(question, inputs={"x": x}, golden=vectors)
    answer = check({"": content}, export, asked, gate_for("fp32"))
    assert (answer.reason, answer.probe, answer.result.error) == ("", 8.0, 0)


def test_a_message_names_no_temporary_folder(ask, onnx_file):
    assert ask(onnx_file()[:90]).reason.startswith("job.onnx: ")
