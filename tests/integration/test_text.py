"""From raw sentences to a device: trained in both frameworks, exported, proven, bundled, asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import Bundle
from tests.conftest import ROOT, run_toolkit
from toolkit.runs import Run

pytestmark = pytest.mark.soak  # tests/test_recipes_spam.py goes the same way

RECIPE = '''
"""Sentences about the weather: good or bad."""
import numpy as np
from toolkit import Adam, Data, Probe, Recipe, Split

WORDS = [f"place{index}" for index in range(600)]
GOOD, BAD = ["sunny", "warm", "schön"], ["rainy", "cold", "stürmisch"]

def data():
    random = np.random.default_rng(0)
    def split(count):
        classes = random.integers(0, 2, count)
        texts = [
            f"It is {random.choice((BAD, GOOD)[each])} and {random.choice((BAD, GOOD)[each])} "
            f"in {random.choice(WORDS)}!"
            for each in classes
        ]
        return Split(texts, classes)
    return Data(split(256), split(64))

def keras_model():
    import keras
    from keras import layers
    return keras.Sequential([
        keras.Input((8,), dtype="int32"),
        layers.Embedding(len(VOCABULARY), 8),
        layers.GlobalAveragePooling1D(),
        layers.Dense(2),
    ])

def torch_model():
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(len(VOCABULARY), 8)
            self.head = nn.Linear(8, 2)

        def forward(self, ids):
            return self.head(self.embed(ids).mean(1))

    return Net()

VOCABULARY = ["", "[UNK]", "it", "is", "and", "in", *GOOD, *BAD, *WORDS]

recipe = Recipe(
    name="weather", data=data, keras=keras_model, torch=torch_model,
    loss="cross_entropy", metrics=("accuracy",), optimizer=Adam(0.05), epochs=4, global_batch=32,
    preprocessing=({"step": "tokenise", "vocabulary": VOCABULARY, "length": 8, "unknown": 1,
                    "padding": 0, "lower": True},),
    postprocessing=({"step": "softmax"},), labels=("bad", "good"), golden=64,
    probe=Probe("It is warm and sunny today", 1), input_name="text", output_name="logits",
)
'''
FILES = {
    f"weather-{framework}-{rest}"
    for framework in ("tf", "torch")
    for rest in ("fp32.tflite", "int8.tflite", "fp32-opset18.onnx", "int8-opset18.onnx")
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    (folder / "weather.py").write_text(RECIPE)
    done = run_toolkit(
        *("run", folder / "weather.py", "--workers", "1", "--runs-dir", folder / "runs", "--json"),
        *("--precision", "fp32", "--precision", "int8"),
    )
    assert done.code == 0, done.err
    return Path(done.json["run"])


def test_every_file_of_both_frameworks_is_right_about_texts(run: Path) -> None:
    verification = Run(run).verification
    assert verification is not None
    checks = verification["checks"]
    assert {Path(check["file"]).name for check in checks} == FILES
    assert all(check["passed"] and check["probe"] == 1 for check in checks)
    assert {check["metric"] for check in checks} == {"accuracy"}
    assert min(check["after"] for check in checks) > 0.95
    for framework in ("tf", "torch"):
        golden = Run(run).golden(framework)
        assert golden.inputs["text"].shape == (64,)
        assert golden.inputs["text"][0].startswith("It is ")


@pytest.mark.parametrize("framework", ["tf", "torch"])
def test_a_bundle_answers_a_sentence(run: Path, framework: str, tmp_path: Path) -> None:
    path = tmp_path / "weather.edge"
    bundled = run_toolkit(
        *("bundle", "--run", run.name, "--runs-dir", run.parent, "--framework", framework),
        *("--unsigned", "--output", path),
    )
    assert bundled.code == 0, bundled.err
    bundle = Bundle.open(path, allow_unsigned=True)
    words = bytes(bundle.member("vocabulary.txt")).decode().split("\n")
    assert (words[:3], len(words)) == (["", "[UNK]", "it"], 613)
    assert bundle.manifest.value["format"] == 2
    for entry in bundle.models:
        (step,) = entry.manifest.preprocessing["text"]
        assert step["vocabulary"] == {"member": "vocabulary.txt"}
        answered = _edge("run", path, "It is sturmisch, cold", "how SCHÖN!", "--json", "--model",
                         entry.member)  # fmt: skip
        assert answered["labels"] == ["bad", "good"]
        np.testing.assert_allclose(np.sum(answered["processed"], axis=1), 1, atol=1e-6)
    tested = _edge("selftest", path, "--json")
    assert [model["verdict"] for model in tested["models"]] == ["passed"] * 4


def test_exported_files_stand_alone(run: Path) -> None:
    for file in sorted((run / "exports").iterdir()):
        answered = _edge("run", file, "It is rainy and cold in place599!", "--json", trust=False)
        assert answered["labels"] == ["bad"], file.name
    measured = run_toolkit("bench", "--runs-dir", run.parent, "--seconds", "0.1", "--json")
    assert measured.code == 0, measured.err
    assert {row["score"] for row in measured.json["files"]} == {1.0}


def _edge(*arguments: str | Path, trust: bool = True) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "edge", *map(str, arguments)]
        + (["--allow-unsigned"] if trust else []),
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
