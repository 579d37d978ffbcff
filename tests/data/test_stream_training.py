"""The command line on a stream: the same numbers as on arrays, every sample once."""

import signal
from pathlib import Path

import pytest

from tests.conftest import run_toolkit
from tests.integration.slow import Command

RECIPE = """
import time
from pathlib import Path
import numpy as np
from toolkit import Adam, Callback, Data, Recipe, Split, Stream

X = np.random.default_rng(0).normal(size=(150, 4)).astype(np.float32)
Y = X[:, :3].argmax(axis=1)

def torch_model():
    from torch import nn
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

def keras_model():
    import keras
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)])

class Slow(Callback):
    def on_epoch_end(self, epoch, logs, model):
        time.sleep(PAUSE)
        return False

def read():
    import ray.data
    return ray.data.from_numpy([X[:70], X[70:]]).map_batches(
        lambda batch: {"x": batch["data"], "y": batch["data"][:, :3].argmax(axis=1)})

def data():
    return DATA

recipe = Recipe("streamed", data, torch=torch_model, keras=keras_model, loss="cross_entropy",
    metrics=("accuracy",), optimizer=Adam(), epochs=EPOCHS, global_batch=32,
    class_weights={1: 2.0}, callbacks=lambda: [Slow()])
"""
ARRAYS = "Data(Split(X, Y), Split(X, Y))"
STREAMS = "Data(Stream(read), Stream(read))"


def recipe(tmp_path: Path, data: str, epochs: int = 3, pause: float = 0.0) -> Path:
    path = tmp_path / "recipe.py"
    text = RECIPE.replace("DATA", data).replace("EPOCHS", str(epochs))
    path.write_text(text.replace("PAUSE", str(pause)))
    return path


def trained(tmp_path: Path, data: str, framework: str):
    path = recipe(tmp_path, data)
    result = run_toolkit(
        *("train", path, "--framework", framework, "--workers", "2", "--ledger", "--json"),
        *("--runs-dir", tmp_path / "runs"),
        TOOLKIT_CACHE_DIR=str(tmp_path / "cache"),
    )
    assert result.code == 0, result.err
    return result.json


@pytest.mark.soak
@pytest.mark.parametrize("framework", ["tf", "torch"])
def test_a_stream_trains_to_the_numbers_of_arrays(tmp_path, framework):
    streamed = trained(tmp_path, STREAMS, framework)
    arrays = trained(tmp_path, ARRAYS, framework)
    one, other = streamed["frameworks"][framework], arrays["frameworks"][framework]
    assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-6)
    assert one["val_accuracy"] == other["val_accuracy"]
    rows = (Path(streamed["run"]) / "ledger.jsonl").read_text()
    assert rows.count('"once": 150') == 3
    [folder] = (tmp_path / "cache" / "records").iterdir()
    assert {path.name for path in folder.iterdir()} == {"0.bin", "1.bin", "meta.json"}


@pytest.mark.soak
def test_a_stream_goes_on_where_it_was_stopped(tmp_path):
    path = recipe(tmp_path, STREAMS, epochs=60, pause=0.1)
    cache = {"TOOLKIT_CACHE_DIR": str(tmp_path / "cache")}
    options = ("--framework", "torch", "--runs-dir", tmp_path / "runs", "--ledger")
    command = Command(path, "--workers", "2", *options, **cache)
    run = command.wait_for_epochs(tmp_path / "runs", {"torch"}, epochs=5)
    command.end(signal.SIGTERM)
    resumed = run_toolkit(
        *("train", "--resume", "--workers", "1", "--runs-dir", tmp_path / "runs"), **cache
    )
    assert resumed.code == 0, resumed.err
    assert "each of 150 samples exactly once in each of 60 epochs" in resumed.err
    whole = run_toolkit(
        *("train", recipe(tmp_path, ARRAYS, epochs=60), "--workers", "2", *options, "--json")
    )
    facts = whole.json["frameworks"]["torch"]
    assert run.facts["frameworks"]["torch"]["val_loss"] == pytest.approx(
        facts["val_loss"], rel=1e-4
    )
