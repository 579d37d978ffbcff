"""The command line on a stream: the same numbers as on arrays, every sample once."""

from pathlib import Path

import pytest

from tests.conftest import run_toolkit

RECIPE = """
from pathlib import Path
import numpy as np
from toolkit import Adam, Data, Recipe, Split, Stream

X = np.random.default_rng(0).normal(size=(150, 4)).astype(np.float32)
Y = X[:, :3].argmax(axis=1)

def torch_model():
    from torch import nn
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

def read():
    import ray.data
    return ray.data.from_numpy([X[:70], X[70:]]).map_batches(
        lambda batch: {"x": batch["data"], "y": batch["data"][:, :3].argmax(axis=1)})

def data():
    return DATA

recipe = Recipe("streamed", data, torch=torch_model, loss="cross_entropy", metrics=("accuracy",),
    optimizer=Adam(), epochs=3, global_batch=32, class_weights={1: 2.0})
"""
ARRAYS = "Data(Split(X, Y), Split(X, Y))"
STREAMS = "Data(Stream(read), Stream(read))"


def trained(tmp_path: Path, data: str):
    path = tmp_path / "recipe.py"
    path.write_text(RECIPE.replace("DATA", data))
    result = run_toolkit(
        *("train", path, "--workers", "2", "--ledger", "--json", "--runs-dir", tmp_path / "runs"),
        TOOLKIT_CACHE_DIR=str(tmp_path / "cache"),
    )
    assert result.code == 0, result.err
    return result.json


def test_a_stream_trains_to_the_numbers_of_arrays(tmp_path):
    streamed, arrays = trained(tmp_path, STREAMS), trained(tmp_path, ARRAYS)
    one, other = streamed["frameworks"]["torch"], arrays["frameworks"]["torch"]
    assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-6)
    assert one["val_accuracy"] == other["val_accuracy"]
    rows = (Path(streamed["run"]) / "ledger.jsonl").read_text()
    assert rows.count('"once": 150') == 3
    [folder] = (tmp_path / "cache" / "records").iterdir()
    assert {path.name for path in folder.iterdir()} == {"0.bin", "1.bin", "meta.json"}
