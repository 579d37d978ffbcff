"""Fashion-MNIST as in the recipe that ships, with a plain CNN: what exported files keep of it.

Needs 'toolkit data fetch fashion'.
"""

from typing import Any

from toolkit import Adam, Cosine, Recipe
from toolkit.recipes.fashion import LABELS, SIZE, data


def keras_model() -> Any:
    """Two convolutions, two dense layers; logits [batch, 10]."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(len(LABELS)),
        ]
    )


def torch_model() -> Any:
    """The same layers; takes images [batch, 28, 28, 1] like the Keras model."""
    import torch
    from torch import nn

    class ChannelsFirst(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.permute(0, 3, 1, 2)

    return nn.Sequential(
        ChannelsFirst(),
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, len(LABELS)),
    )


recipe = Recipe(
    name="fashion-cnn",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="cross_entropy",
    metrics=("accuracy",),
    optimizer=Adam(learning_rate=1e-3),
    schedule=Cosine(warmup_steps=50),
    epochs=3,
    global_batch=128,
    preprocessing=({"step": "scale", "factor": 1 / 255},),
    labels=LABELS,
    input_name="image",
    output_name="logits",
)
