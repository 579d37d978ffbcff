"""Activities from a smart watch's six axes: windows of four seconds, their spectrum, a small CNN.

BasicMotions: four students stood, ran, walked and played badminton; 80 recordings of ten seconds at
10 Hz, half of them to learn from. 'toolkit data fetch motion' fetches them. The device takes raw
windows; standardizing, framing and transforming them are steps that travel with the model.
"""

from typing import Any

import numpy as np

from toolkit import Adam, Cosine, Data, Probe, Recipe, Split
from toolkit.datasets import places, series

LABELS = ("Standing", "Running", "Walking", "Badminton")
WINDOW = 40  # samples, four seconds
LEARN_HOP, JUDGE_HOP = 5, 10  # samples between windows of a recording
FRAME = 20  # samples of one spectrum; frames overlap by half
FRAMES, BINS, AXES = 3, FRAME // 2 + 1, 6

# Of the recordings to learn from: three axes of the accelerometer, then three of the gyroscope.
MEAN = (2.7, -1.3, -1.1, 0.0, 0.0, -0.1)
STD = (7.2, 7.0, 3.6, 2.2, 1.9, 3.6)


def data() -> Data:
    """520 windows of 40 recordings to learn from and 280 of 40 others; [n, WINDOW, AXES]."""
    return Data(train=_windows("TRAIN", LEARN_HOP), validation=_windows("TEST", JUDGE_HOP))


def keras_model() -> Any:
    """One convolution over frames and bins, one dense layer; logits [batch, 4]."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((FRAMES, BINS, AXES)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(len(LABELS)),
        ]
    )


def torch_model() -> Any:
    """The same layers; takes spectra [batch, FRAMES, BINS, AXES] like the Keras model."""
    import torch
    from torch import nn

    class ChannelsFirst(nn.Module):  # type: ignore[misc]
        def forward(self, spectra: torch.Tensor) -> torch.Tensor:
            return spectra.permute(0, 3, 1, 2)

    return nn.Sequential(
        ChannelsFirst(),
        nn.Conv2d(AXES, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * FRAMES * BINS, 32),
        nn.ReLU(),
        nn.Linear(32, len(LABELS)),
    )


def _windows(split: str, hop: int) -> Split:
    """Windows of the recordings of one file; those of one recording stay in one split."""
    recordings, activities = series.read(places.folder("motion") / f"BasicMotions_{split}.ts")
    windows, targets = [], []
    for recording, activity in zip(recordings, activities, strict=True):
        for start in range(0, recording.shape[1] - WINDOW + 1, hop):
            windows.append(recording[:, start : start + WINDOW].T)
            targets.append(LABELS.index(activity))
    return Split(np.stack(windows), np.array(targets))


recipe = Recipe(
    name="motion",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="cross_entropy",
    metrics=("accuracy",),
    optimizer=Adam(learning_rate=3e-3),
    schedule=Cosine(),
    epochs=30,
    global_batch=32,
    preprocessing=(
        {"step": "standardize", "mean": MEAN, "std": STD},
        {"step": "reshape", "shape": (WINDOW, AXES)},  # says how long a window is
        {"step": "transpose", "axes": (1, 0)},
        {"step": "window", "length": FRAME, "hop": FRAME // 2, "function": "hann"},
        {"step": "fft", "size": FRAME},
        {"step": "log", "floor": 1e-2},
        {"step": "transpose", "axes": (1, 2, 0)},  # frames, bins, axes
    ),
    postprocessing=({"step": "softmax"},),
    labels=LABELS,
    probe=Probe(input=[[0.0] * AXES] * WINDOW, expected=0),  # a watch that lies still
    input_name="motion",
    output_name="logits",
)
