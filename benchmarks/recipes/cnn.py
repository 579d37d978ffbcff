"""A compute-bound CNN: at least 50 ms a step on one core, so that arithmetic decides.

The images are made from a seed: noise around ten pictures, labelled by picture.
"""

from typing import Any

import numpy as np

from toolkit import SGD, Data, Recipe, Split

SIZE, CLASSES = 32, 10
TRAIN, VALIDATION = 1024, 64


def data() -> Data:
    """1,024 images [n, 32, 32, 3] to learn from, 64 to judge by."""
    random = np.random.default_rng(0)
    pictures = random.normal(size=(CLASSES, SIZE, SIZE, 3)).astype(np.float32)
    labels = random.integers(CLASSES, size=TRAIN + VALIDATION)
    noise = random.normal(scale=2.0, size=(len(labels), SIZE, SIZE, 3)).astype(np.float32)
    images = pictures[labels] + noise
    return Data(
        train=Split(images[:TRAIN], labels[:TRAIN]),
        validation=Split(images[TRAIN:], labels[TRAIN:]),
    )


def keras_model() -> Any:
    """Four convolutions, one dense layer; logits [batch, 10]."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(CLASSES),
        ]
    )


def torch_model() -> Any:
    """The same layers; takes images [batch, 32, 32, 3] like the Keras model."""
    import torch
    from torch import nn

    class ChannelsFirst(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.permute(0, 3, 1, 2)

    return nn.Sequential(
        ChannelsFirst(),
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 8 * 8, CLASSES),
    )


recipe = Recipe(
    name="cnn",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="cross_entropy",
    metrics=("accuracy",),
    optimizer=SGD(learning_rate=0.01, momentum=0.9),
    epochs=4,
    global_batch=64,
)
