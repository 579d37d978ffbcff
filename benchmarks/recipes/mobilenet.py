"""MobileNetV3-Small on crops of two photographs: depthwise convolutions, squeeze and excite.

The photographs, a temple and a flower, come with scikit-learn. Keras's model is the one of
keras.applications, torch's is written here after the paper (Howard et al., 2019, table 2).
"""

from typing import Any

import numpy as np

from toolkit import Adam, Data, Recipe, Split

SIZE, CLASSES = 96, 2
TRAIN, VALIDATION = 384, 128

# Kernel, expanded channels, channels, squeeze and excite, hard swish instead of ReLU, stride.
BLOCKS = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)


def data() -> Data:
    """384 crops to learn from, 128 to judge by; [n, 96, 96, 3] of bytes."""
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images().images
    random = np.random.default_rng(0)
    labels = np.arange(TRAIN + VALIDATION) % CLASSES
    crops = np.empty((len(labels), SIZE, SIZE, 3), np.uint8)
    for index, label in enumerate(labels):
        high, wide, _ = photographs[label].shape
        top, left = random.integers(high - SIZE), random.integers(wide - SIZE)
        crops[index] = photographs[label][top : top + SIZE, left : left + SIZE]
    return Data(
        train=Split(crops[:TRAIN], labels[:TRAIN]),
        validation=Split(crops[TRAIN:], labels[TRAIN:]),
    )


def keras_model() -> Any:
    """Logits [batch, 2]."""
    import keras

    model = keras.applications.MobileNetV3Small(
        input_shape=(SIZE, SIZE, 3),
        weights=None,
        classes=CLASSES,
        classifier_activation=None,
        include_preprocessing=False,
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # 0.999 needs thousands of steps
    return model


def torch_model() -> Any:
    """The same; takes images [batch, 96, 96, 3] like the Keras model."""
    import torch
    from torch import nn

    def unit(before: int, after: int, kernel: int, stride: int, groups: int, act: Any) -> Any:
        layers = [
            nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(after, eps=1e-3),
        ]
        return nn.Sequential(*layers, act()) if act is not None else nn.Sequential(*layers)

    class Squeeze(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            fewer = (channels // 4 + 4) // 8 * 8  # a multiple of 8
            self.down, self.up = nn.Conv2d(channels, fewer, 1), nn.Conv2d(fewer, channels, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found = self.down(images.mean((2, 3), keepdim=True)).relu()
            return images * nn.functional.hardsigmoid(self.up(found))

    class Block(nn.Module):
        def __init__(self, before: int, row: tuple[Any, ...]) -> None:
            super().__init__()
            kernel, wide, after, squeeze, swish, stride = row
            act = nn.Hardswish if swish else nn.ReLU
            parts = [unit(before, wide, 1, 1, 1, act)] if wide != before else []
            parts += [unit(wide, wide, kernel, stride, wide, act)]
            parts += [Squeeze(wide)] if squeeze else []
            self.parts = nn.Sequential(*parts, unit(wide, after, 1, 1, 1, None))
            self.shortcut = stride == 1 and before == after

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found = self.parts(images)
            return images + found if self.shortcut else found

    class MobileNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            channels = [16] + [row[2] for row in BLOCKS]
            self.first = unit(3, channels[0], 3, 2, 1, nn.Hardswish)
            self.blocks = nn.Sequential(
                *(Block(before, row) for before, row in zip(channels, BLOCKS, strict=False))
            )
            self.last = unit(channels[-1], 576, 1, 1, 1, nn.Hardswish)
            self.head = nn.Sequential(
                nn.Linear(576, 1024), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1024, CLASSES)
            )

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found = self.last(self.blocks(self.first(images.permute(0, 3, 1, 2))))
            return self.head(found.mean((2, 3)))

    return MobileNet()


recipe = Recipe(
    name="mobilenet",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="cross_entropy",
    metrics=("accuracy",),
    optimizer=Adam(learning_rate=5e-4),
    epochs=8,
    global_batch=32,
    preprocessing=({"step": "scale", "factor": 1 / 127.5, "offset": -1.0},),
    labels=("temple", "flower"),
    input_name="image",
    output_name="logits",
)
