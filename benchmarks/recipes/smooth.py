"""A smooth network whose training does not amplify rounding, for comparing weights.

Under ReLU, max pooling or Adam, two runs that differ in the last bit only, such as with one and
with two threads, drift apart to the first digit within some hundred steps. Under tanh and plain
momentum they stay together, so that a difference means something.
"""

from typing import Any

import numpy as np

from toolkit import SGD, Data, Recipe, Split

FEATURES, UNITS, CLASSES = 32, 256, 10
TRAIN, VALIDATION = 8192, 512


def data() -> Data:
    """8,192 samples of 32 features to learn from, 512 to judge by: points around ten centres."""
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
    """Dense layers of 256, 256 and 10 units; logits."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(UNITS, activation="tanh"),
            layers.Dense(UNITS, activation="tanh"),
            layers.Dense(CLASSES),
        ]
    )


def torch_model() -> Any:
    """The same layers."""
    from torch import nn

    return nn.Sequential(
        nn.Linear(FEATURES, UNITS),
        nn.Tanh(),
        nn.Linear(UNITS, UNITS),
        nn.Tanh(),
        nn.Linear(UNITS, CLASSES),
    )


recipe = Recipe(
    name="smooth",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="cross_entropy",
    metrics=("accuracy",),
    optimizer=SGD(learning_rate=0.01, momentum=0.9),
    epochs=10,
    global_batch=64,
)
