"""A small dense network whose epochs are one step long, and which notes when the first one ended.

Every rank writes the wall time, in seconds since 1970, to a file of its own in the folder that the
environment variable FIRST_STEP_FOLDER names.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import Callback, Data, Recipe, Split

FEATURES, CLASSES, SAMPLES = 32, 10, 64


class FirstStep(Callback):
    """Notes the time of the first optimizer step."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float], model: Any) -> bool:
        if epoch == 1:
            framework = "torch" if hasattr(model, "state_dict") else "tf"
            path = Path(os.environ["FIRST_STEP_FOLDER"]) / f"{framework}-{os.getpid()}"
            path.write_text(repr(time.time()))
        return False


def data() -> Data:
    """64 samples, one global batch."""
    random = np.random.default_rng(0)
    samples = random.normal(size=(SAMPLES, FEATURES)).astype(np.float32)
    split = Split(samples, random.integers(CLASSES, size=SAMPLES))
    return Data(train=split, validation=split)


def keras_model() -> Any:
    """Dense layers of 64 and 10 units; logits."""
    import keras
    from keras import layers

    return keras.Sequential(
        [keras.Input((FEATURES,)), layers.Dense(64, activation="relu"), layers.Dense(CLASSES)]
    )


def torch_model() -> Any:
    """The same layers."""
    from torch import nn

    return nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, CLASSES))


recipe = Recipe(
    name="first_step",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="cross_entropy",
    epochs=2,
    validate_every=2,
    global_batch=SAMPLES,
    callbacks=lambda: [FirstStep()],
)
