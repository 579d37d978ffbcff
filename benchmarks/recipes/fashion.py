"""Fashion-MNIST: 70,000 photographs of clothes, 28 x 28 pixels in ten classes, and a small CNN.

The data are the Debian package dataset-fashion-mnist. FASHION_MNIST names their folder where they
are not in the package's own place.
"""

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import Adam, Cosine, Data, Recipe, Split

SIZE, CLASSES = 28, 10
PLACE = "/usr/share/datasets/fashion-mnist"
LABELS = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat")
LABELS += ("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def data() -> Data:
    """60,000 images to learn from, 10,000 to judge by; [n, 28, 28, 1] of bytes."""
    return Data(train=_split("train"), validation=_split("t10k"))


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
            layers.Dense(CLASSES),
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
        nn.Linear(128, CLASSES),
    )


def _split(name: str) -> Split:
    images = _bytes(f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, SIZE, SIZE, 1)
    return Split(images, _bytes(f"{name}-labels-idx1-ubyte.gz", 8).astype(np.int64))


def _bytes(name: str, header: int) -> Any:
    """What comes after the header of a file.

    Raises:
        FileNotFoundError: says where the data come from.
    """
    path = Path(os.environ.get("FASHION_MNIST", PLACE)) / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; apt-get install dataset-fashion-mnist, or let FASHION_MNIST name "
            "the folder of its four files"
        )
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


recipe = Recipe(
    name="fashion",
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
