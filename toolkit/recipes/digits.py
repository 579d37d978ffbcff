"""Handwritten digits: scikit-learn's 1,797 images of 8 x 8 pixels, a small CNN."""

from typing import Any

import numpy as np

from toolkit import Adam, Cosine, Data, Probe, Recipe, Split

VALIDATION_SHARE = 5  # one image in five

# A clean zero, as bytes 0 to 16, that is not needed for training: the first image of the set.
ZERO = [
    [0, 0, 5, 13, 9, 1, 0, 0],
    [0, 0, 13, 15, 10, 15, 5, 0],
    [0, 3, 15, 2, 0, 11, 8, 0],
    [0, 4, 12, 0, 0, 8, 8, 0],
    [0, 5, 8, 0, 0, 9, 8, 0],
    [0, 4, 11, 0, 1, 12, 7, 0],
    [0, 2, 14, 5, 10, 12, 0, 0],
    [0, 0, 6, 13, 10, 0, 0, 0],
]


def data() -> Data:
    """1,437 images to learn from and 360 to judge by; images [n, 8, 8, 1], values 0 to 16."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype(np.float32)[..., None]
    held_out = np.arange(len(images)) % VALIDATION_SHARE == 0
    return Data(
        train=Split(images[~held_out], digits.target[~held_out]),
        validation=Split(images[held_out], digits.target[held_out]),
    )


def keras_model() -> Any:
    """Two convolutions, one dense layer; logits [batch, 10]."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )


def torch_model() -> Any:
    """The same layers; takes images [batch, 8, 8, 1] like the Keras model."""
    import torch
    from torch import nn

    class ChannelsFirst(nn.Module):  # type: ignore[misc]
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.permute(0, 3, 1, 2)

    return nn.Sequential(
        ChannelsFirst(),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


recipe = Recipe(
    name="digits",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="cross_entropy",
    metrics=("accuracy",),
    optimizer=Adam(learning_rate=2e-3),
    schedule=Cosine(warmup_steps=20),
    epochs=20,
    global_batch=64,
    preprocessing=({"step": "scale", "factor": 1 / 16},),
    labels=tuple(str(digit) for digit in range(10)),
    probe=Probe(input=ZERO, expected=0),
    input_name="image",
    output_name="logits",
)
