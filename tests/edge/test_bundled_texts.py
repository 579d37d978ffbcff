"""A model of texts in a bundle: its vocabulary is a member, its golden vectors are texts."""

import json

import numpy as np
import pytest

from edge.bundle import Bundle
from edge.bundle_entries import Tolerance
from edge.tensor import Tensor
from tests.edge.test_bundled import edge
from toolkit.bundle.build import ModelPart
from toolkit.bundle.vocabularies import moved

WORDS = ["", "?", *(f"word{index}" for index in range(600)), "größer"]
TEXTS = np.array(["word0 größer", "who is word499?", "", "größer " * 5])
IDS = np.float32([[2, 602, 0], [1, 1, 501], [0, 0, 0], [602, 602, 602]])


@pytest.fixture
def texts(onnx, describe, make_bundle):
    """Make a bundle of a model that answers twice its ids: texts(factor=2)."""
    step = {"step": "tokenise", "vocabulary": WORDS, "length": 3, "unknown": 1, "padding": 0}
    manifest = describe(
        target="onnx",
        inputs=(Tensor("value", (None, 3), "float32"),),
        outputs=(Tensor("twice", (None, 3), "float32"),),
        preprocessing={"value": [step, {"step": "cast", "dtype": "float32"}]},
        postprocessing=[{"step": "argmax"}],
    )
    content = onnx(manifest=manifest, columns=3).read_bytes()
    models, words = moved([ModelPart("m.onnx", content, manifest, Tolerance(1e-7, 1e-4, None))])

    def make(factor=2):
        golden = {"inputs.value": TEXTS, "outputs.twice": np.float32(factor) * IDS}
        return make_bundle(models=models, attachments=words, golden=golden)

    return make


def test_it_answers_and_proves_itself(texts):
    path = texts()
    manifest = Bundle.open(path, allow_unsigned=True).manifest
    assert [each.kind for each in manifest.members].count("vocabulary") == 1
    done = edge("run", path, "word0 größer", "nobody", "--json", "--allow-unsigned")
    assert done.stderr == ""
    value = json.loads(done.stdout)
    assert (value["answers"], value["processed"]) == ([[4, 1204, 0], [2, 0, 0]], [1, 0])
    tested = edge("selftest", path, "--allow-unsigned", "--json")
    assert json.loads(tested.stdout)["models"][0]["verdict"] == "passed", tested.stdout
    told = edge("info", path, "--allow-unsigned")
    assert f"vocabulary      vocabulary.txt  {len(''.join(WORDS).encode()) + len(WORDS)} bytes" in (
        told.stdout
    )


def test_wrong_answers_to_texts_are_found(texts):
    tested = edge("selftest", texts(factor=2.1), "--allow-unsigned", "--json")
    assert tested.returncode == 1
    assert json.loads(tested.stdout)["models"][0]["verdict"] == "wrong answer"


def test_it_serves_texts(texts, serving):
    server = serving(texts(), "--allow-unsigned")
    status, value, _ = server.predict(["word0 größer"])
    assert (status, value["answers"]) == (200, [[4, 1204, 0]])
