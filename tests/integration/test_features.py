"""What trainers expect, all at once, in both frameworks, from data to proven files."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import run_toolkit
from toolkit.runs import Run

FIRST = '''
"""Digits with everything that can be switched on."""
import numpy as np
from toolkit import (
    Adam, Callback, Data, EarlyStopping, Linear, PerFramework, Recipe, Split,
)

def data():
    from sklearn.datasets import load_digits
    digits = load_digits()
    images = digits.images.astype(np.float32)[..., None]
    held_out = np.arange(len(images)) % 5 == 0
    weights = np.linspace(0.5, 1.5, (~held_out).sum())
    return Data(
        Split(images[~held_out], digits.target[~held_out], weights),
        Split(images[held_out], digits.target[held_out]),
    )

def keras_model():
    import keras
    from keras import layers
    return keras.Sequential([
        keras.Input((8, 8, 1)),
        layers.Conv2D(8, 3, padding="same", use_bias=False, name="features_conv"),
        layers.BatchNormalization(name="features_norm"),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(HEAD, name="head"),
    ])

def torch_model():
    from collections import OrderedDict
    from torch import nn

    class ChannelsFirst(nn.Module):
        def forward(self, images):
            return images.permute(0, 3, 1, 2)

    return nn.Sequential(OrderedDict(
        first=ChannelsFirst(),
        features_conv=nn.Conv2d(1, 8, 3, padding=1, bias=False),
        features_norm=nn.BatchNorm2d(8),
        relu=nn.ReLU(),
        flat=nn.Flatten(),
        head=nn.Linear(8 * 8 * 8, HEAD),
    ))

class Note(Callback):
    def on_epoch_end(self, epoch, logs, model):
        assert {"loss", "val_loss", "val_accuracy"} <= set(logs)
        assert "head" in repr([getattr(layer, "name", "") for layer in getattr(model, "layers", [])]
                              ) or "head" in repr(model)
        return False
'''
RECIPE = """
recipe = Recipe(
    name="all-on", data=data, keras=keras_model, torch=torch_model, loss="cross_entropy",
    metrics=("accuracy",), optimizer=Adam(3e-3), schedule=Linear(warmup_steps=20, final=0.1),
    epochs=30, global_batch=64, clip_norm=1.0, accumulate=2, precision="bfloat16",
    early_stopping=EarlyStopping("val_accuracy", patience=3), keep_best="val_accuracy",
    class_weights={8: 2.0}, sync_batch_norm=True, callbacks=lambda: [Note()], deterministic=True,
    preprocessing=({"step": "scale", "factor": 1 / 16},),
    labels=tuple("0123456789"), input_name="image", output_name="logits",
)
"""
TUNED = """
def keras_step(model, inputs, targets):
    import keras
    return keras.losses.sparse_categorical_crossentropy(
        targets, model(inputs["image"], training=True), from_logits=True
    )

def torch_step(model, inputs, targets):
    from torch.nn import functional
    return functional.cross_entropy(model(inputs["image"]), targets, reduction="none")

def even():
    every = data()
    half = lambda split: Split(split.inputs, split.targets % 2)
    return Data(half(every.train), half(every.validation))

recipe = Recipe(
    name="tuned", data=even, keras=keras_model, torch=torch_model, loss="cross_entropy",
    metrics=("accuracy",), optimizer=Adam(3e-3), epochs=4, global_batch=64, precision="float16",
    train_step=PerFramework(keras=keras_step, torch=torch_step),
    start_from={"tf": "all-on.keras", "torch": "all-on.safetensors"}, frozen=("features*",),
    preprocessing=({"step": "scale", "factor": 1 / 16},),
    labels=("even", "odd"), input_name="image", output_name="logits",
)
"""


def trained(folder: Path, name: str, text: str) -> Run:
    """The run of a recipe, every exported file of which passed."""
    path = folder / name
    path.write_text(text)
    result = run_toolkit("run", path, "--workers", "2", "--runs-dir", folder, "--json")
    assert result.code == 0, result.err
    assert len(result.json["checks"]) == 6
    return Run(Path(result.json["run"]))


@pytest.mark.soak
def test_all_features_together_and_fine_tuning_from_their_result(tmp_path: Path) -> None:
    run = trained(tmp_path, "all_on.py", FIRST.replace("HEAD", "10") + RECIPE)
    for framework in ("tf", "torch"):
        facts = run.facts["frameworks"][framework]
        rows = [row for row in run.rows("metrics") if row["framework"] == framework]
        best = max(rows, key=lambda row: row["val_accuracy"])
        assert facts["val_accuracy"] == best["val_accuracy"] > 0.9
        assert facts["epoch"] == best["epoch"]
        assert facts["epochs"] == len(rows) == min(best["epoch"] + 3, 30)
        assert any("kept the weights of epoch" in note for note in facts["notes"])

    for suffix, framework in ((".keras", "tf"), (".safetensors", "torch")):
        content = run.read(f"{framework}/model{suffix}")
        (tmp_path / f"all-on{suffix}").write_bytes(content)
    tuned = trained(tmp_path, "tuned.py", FIRST.replace("HEAD", "2") + TUNED)
    for framework in ("tf", "torch"):
        facts = tuned.facts["frameworks"][framework]
        assert facts["val_accuracy"] > 0.85
        assert any("started from" in note for note in facts["notes"])

    from safetensors.numpy import load

    before, after = (load(each.read("torch/model.safetensors")) for each in (run, tuned))
    for name in ("features_conv.weight", "features_norm.weight", "features_norm.running_mean"):
        np.testing.assert_array_equal(before[name], after[name])


def test_a_schedule_longer_than_the_run_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text(
        FIRST.replace("HEAD", "10") + RECIPE.replace("warmup_steps=20", "warmup_steps=2000")
    )
    result = run_toolkit("train", tmp_path / "long.py", "--runs-dir", tmp_path)
    assert result.code == 2
    assert "warm-up ends after 2000 optimizer steps, but the training has 690" in result.err

    (tmp_path / "tuned.py").write_text(FIRST.replace("HEAD", "2") + TUNED)
    result = run_toolkit("train", tmp_path / "tuned.py", "--runs-dir", tmp_path)
    assert result.code == 2
    assert "'start_from'" in result.err
    assert "all-on.keras cannot be read" in result.err
    assert not list(tmp_path.glob("*/run.json"))
