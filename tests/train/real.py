"""A small recipe for both frameworks, trained by real workers on a real Ray."""

import io
import zipfile

import numpy as np

from toolkit.data.load import load
from toolkit.source import RecipeSource
from toolkit.train.group import WorkerGroup, put
from toolkit.train.reports import Trained
from toolkit.train.resources import Allocation
from toolkit.train.settings import Settings
from toolkit.train.worker import Job

# 37 samples in batches of 8: the last one holds 5, so shards are uneven at 2 and 3 workers.
RECIPE = """
import os
import numpy as np
from toolkit import SGD, Adam, Cosine, Data, PerFramework, Recipe, Split

def data():
    random = np.random.default_rng(0)
    x = random.normal(size=(37, 4)).astype(np.float32)
    y = np.tanh(x @ random.normal(size=(4, 2)).astype(np.float32))
    return Data(train=Split(x, y), validation=Split(x[:11], y[:11]))

def keras_model():
    import keras
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(6, activation="tanh"), keras.layers.Dense(2)]
    )

def torch_model():
    from torch import nn
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))

recipe = Recipe(
    name="small", data=data, keras=keras_model, torch=torch_model, loss="mse", metrics=("mae",),
    optimizer=OPTIMIZER, schedule=Cosine(warmup_steps=3), epochs=4, global_batch=8,
)
"""
OPTIMIZERS = {"sgd": "SGD(0.05, momentum=0.9)", "adam": "Adam(0.01)"}
FRAMEWORKS = ("tf", "torch")


def source(text: str = RECIPE, optimizer: str = "SGD(0.05)") -> RecipeSource:
    return RecipeSource(text.replace("OPTIMIZER", optimizer), "small.py")


def allocation(workers: int) -> Allocation:
    return Allocation(workers, cpus=0.25, gpus=0, threads=1, side_by_side=True)


def train(
    framework: str, workers: int, recipe: RecipeSource, logs=None, start: bytes | None = None
) -> Trained:
    """Train to the end, without supervision."""
    group = WorkerGroup(framework, allocation(workers), logs)
    group.start()
    try:
        job = Job(recipe, Settings(checkpoint_every="never"), start)
        *_, last = group.train(job, put(load(recipe.load())))
        assert isinstance(last, Trained)
        return last
    finally:
        group.close()


def weights(trained: Trained) -> list[np.ndarray]:
    """The trained model's arrays, in an order that is the same for equal models."""
    if "model.safetensors" in trained.files:
        from safetensors.numpy import load as load_safetensors

        content = trained.files["model.safetensors"]
        return [array for _, array in sorted(load_safetensors(content).items())]
    import h5py

    arrays: list[np.ndarray] = []
    content = io.BytesIO(trained.files["model.keras"])
    with zipfile.ZipFile(content) as archive, archive.open("model.weights.h5") as file:
        tree = h5py.File(file)
        tree.visititems(lambda _, item: arrays.append(item[()]) if hasattr(item, "dtype") else None)
    return arrays


def equal(one: Trained, other: Trained) -> bool:
    """Whether two models are the same, bit for bit."""
    pairs = zip(weights(one), weights(other), strict=True)
    return all(np.array_equal(first, second) for first, second in pairs)


def close(one: Trained, other: Trained) -> bool:
    """Whether two models are the same but for rounding."""
    pairs = zip(weights(one), weights(other), strict=True)
    return all(np.allclose(first, second, rtol=0, atol=1e-5) for first, second in pairs)
