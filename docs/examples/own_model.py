"""Bring your own model: wine cultivars from 13 chemical measurements, in PyTorch alone."""

import numpy as np
from torch import nn

from toolkit import Adam, Data, Probe, Recipe, Split


def data() -> Data:
    """178 wines; every fourth one is held out."""
    from sklearn.datasets import load_wine

    wine = load_wine()
    held_out = np.arange(len(wine.target)) % 4 == 0
    return Data(
        train=Split(wine.data[~held_out], wine.target[~held_out]),
        validation=Split(wine.data[held_out], wine.target[held_out]),
    )


class WineNet(nn.Module):
    """Measurements [batch, 13] to logits [batch, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, measurements):
        """Return one logit a cultivar."""
        return self.layers(measurements)


MEAN = [13.0, 2.3, 2.4, 19.5, 99.7, 2.3, 2.0, 0.36, 1.6, 5.1, 0.96, 2.6, 747.0]
STD = [0.8, 1.1, 0.3, 3.3, 14.3, 0.6, 1.0, 0.12, 0.6, 2.3, 0.23, 0.7, 315.0]

recipe = Recipe(
    name="wine",
    data=data,
    torch=WineNet,
    loss="cross_entropy",
    metrics=("accuracy",),
    optimizer=Adam(learning_rate=0.01),
    epochs=40,
    global_batch=32,
    preprocessing=({"step": "standardize", "mean": MEAN, "std": STD},),
    labels=("barolo", "grignolino", "barbera"),
    probe=Probe(
        input=[14.2, 1.71, 2.43, 15.6, 127, 2.8, 3.06, 0.28, 2.29, 5.64, 1.04, 3.92, 1065],
        expected=0,
    ),
    input_name="measurements",
    output_name="logits",
)
