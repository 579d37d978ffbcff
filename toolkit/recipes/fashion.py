"""Fashion-MNIST: 70,000 photographs of clothes, 28 x 28 pixels in ten classes, a small ResNet.

'toolkit data fetch fashion' fetches them. Both frameworks get the same layers, the same way of
drawing first weights, and the same augmented images.
"""

import base64
import zlib
from collections import OrderedDict
from typing import Any

import numpy as np

from toolkit import Adam, Cosine, Data, Flip, Probe, Recipe, Shift, Split
from toolkit.datasets import idx, places

SIZE = 28
LABELS: tuple[str, ...] = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat")
LABELS += ("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
STEM, FIRST, SECOND = 16, 32, 64  # filters, at 14 x 14, 14 x 14 and 4 x 4 pixels

# Training image 6,297: trousers.
TROUSERS = np.frombuffer(
    zlib.decompress(
        base64.b64decode(
            "eNpt0LFKA0EQBuDBSiEiUSwDVqY0IkgKBcFSsEmntUWsBW2s7MTGVgvTaC++gIWvYCNYK+bO2+zt7e5dvPzu"
            "KtrM/M3CfuzszBD9Za7xc0zNEw8qxChMM5qx1ibKWDNZYdZGkSfeFRqHzNagXOULO8Ilsy1oH8raFLfMNqGd"
            "N8YpwTrRXFEq3DFrBSuBMsOAWSP0icELUlwIs9tPbNzjHaeC+SFWr/CGE8HGGq3rsDM+O1W1RvM82B63bKJB"
            "R8iwz22IHNQP1uP2CgPaxQhdbo8oQOvhvza3G1jQcni3yO3s10JDPMfRFmJhngN40KxsvWgEJ9kOxtFKJdg2"
            "6miVZN2v2sWNfwi2VMMHQyIYPeUPRM9Z+n/xDV1szt0="
        )
    ),
    np.uint8,
).reshape(SIZE, SIZE, 1)


def data() -> Data:
    """60,000 images to learn from, 10,000 to judge by; bytes [n, 28, 28, 1]."""
    return Data(train=_split("train"), validation=_split("t10k"))


def keras_model(classes: int = len(LABELS)) -> Any:
    """A strided convolution, two residual blocks, one dense layer; logits [batch, classes]."""
    import keras
    from keras import layers

    def conv(x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
        layer = layers.Conv2D(
            filters,
            size,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_uniform",
            name=f"{name}_conv",
        )
        norm = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")
        return norm(layer(x))

    def block(x: Any, filters: int, name: str, strides: int = 1) -> Any:
        y = layers.ReLU()(conv(x, filters, 3, f"{name}_a", strides))
        y = conv(y, filters, 3, f"{name}_b")
        return layers.ReLU()(layers.Add()([y, conv(x, filters, 1, f"{name}_skip", strides)]))

    images = keras.Input((SIZE, SIZE, 1))
    x = layers.ReLU()(conv(images, STEM, 4, "stem", strides=2))
    x = layers.MaxPooling2D(2)(block(x, FIRST, "first"))
    x = layers.Flatten()(block(x, SECOND, "second", strides=2))
    return keras.Model(images, layers.Dense(classes, name="head")(x))


def torch_model(classes: int = len(LABELS)) -> Any:
    """The same layers; takes images [batch, 28, 28, 1] like the Keras model."""
    import torch
    from torch import nn

    def conv(inputs: int, filters: int, size: int, strides: int = 1) -> Any:
        layer = nn.Conv2d(inputs, filters, size, strides, (size - 1) // 2, bias=False)
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        return nn.Sequential(OrderedDict(conv=layer, norm=nn.BatchNorm2d(filters)))

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, inputs: int, filters: int, strides: int = 1) -> None:
            super().__init__()
            self.a, self.b = conv(inputs, filters, 3, strides), conv(filters, filters, 3)
            self.skip = conv(inputs, filters, 1, strides)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.b(torch.relu(self.a(x))) + self.skip(x))

    class ChannelsFirst(nn.Module):  # type: ignore[misc]
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.permute(0, 3, 1, 2)

    head = nn.Linear(SECOND * 4 * 4, classes)
    nn.init.xavier_uniform_(head.weight)  # as Keras does
    nn.init.zeros_(head.bias)
    layers: dict[str, Any] = {
        "channels_first": ChannelsFirst(),
        "stem": conv(1, STEM, 4, 2),
        "relu": nn.ReLU(),
        "first": Block(STEM, FIRST),
        "pool": nn.MaxPool2d(2),
        "second": Block(FIRST, SECOND, 2),
        "flatten": nn.Flatten(),
        "head": head,
    }
    return nn.Sequential(OrderedDict(layers))


def _split(name: str) -> Split:
    folder = places.folder("fashion")
    images = idx.read(folder / f"{name}-images-idx3-ubyte.gz")[..., None]
    return Split(images, idx.read(folder / f"{name}-labels-idx1-ubyte.gz").astype(np.int64))


recipe = Recipe(
    name="fashion",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="cross_entropy",
    metrics=("accuracy",),
    optimizer=Adam(learning_rate=5e-3, weight_decay=0.02),
    schedule=Cosine(),
    epochs=12,
    global_batch=128,
    preprocessing=({"step": "scale", "factor": 1 / 255},),
    postprocessing=({"step": "softmax"},),
    augment=(Flip(), Shift(1)),
    labels=LABELS,
    probe=Probe(input=TROUSERS, expected=LABELS.index("Trouser")),
    input_name="image",
    output_name="logits",
)
