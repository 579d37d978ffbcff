"""A small dense network on synthetic samples: short steps, so that every overhead shows.

The samples are made from a seed: points around ten centres, labelled by centre.
"""

from typing import Any

import numpy as np

from toolkit import Adam, Data, Recipe, Split

FEATURES, CLASSES = 32, 10
TRAIN, VALIDATION = 20_000, 2_000


def data() -> Data:
    """20,000 samples of 32 features to learn from, 2,000 to judge by."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(CLASSES, FEATURES))
    labels = random.integers(CLASSES, size=TRAIN + VALIDATION)
    noise = random.normal(scale=2.0, size=(len(labels), FEATURES))
    samples = (centres[labels] + noise).astype(np.float32)
    return Data(
        train=Split(samples[:TRAIN], labels[:TRAIN]),
        validation=Split(samples[TRAIN:], labels[TRAIN:]),
    )


def keras_model() -> Any:
    """Dense layers of 64, 64 and 10 units; logits."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(64, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(CLASSES),
        ]
    )


def torch_model() -> Any:
    """The same layers."""
    from torch import nn

    return nn.Sequential(
        nn.Linear(FEATURES, 64),
        nn.ReLU(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )


recipe = Recipe(
    name="mlp",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="cross_entropy",
    metrics=("accuracy",),
    optimizer=Adam(learning_rate=1e-3),
    epochs=4,
    global_batch=64,
)
