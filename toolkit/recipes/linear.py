"""y = 2x learnt from (1, 2), (2, 4), (3, 6): the smallest job that shows the whole way."""

from typing import Any

import numpy as np

from toolkit import SGD, Data, Probe, Recipe, Split


def data() -> Data:
    """Three points to learn from; points inside and outside of them to judge by."""
    x = np.array([1.0, 2.0, 3.0], np.float32)
    unseen = np.array([-2.0, 0.0, 0.5, 1.5, 2.5, 4.0, 5.0, 10.0], np.float32)
    return Data(train=Split(x, 2 * x), validation=Split(unseen, 2 * unseen))


def keras_model() -> Any:
    """One dense layer of one unit."""
    import keras

    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])


def torch_model() -> Any:
    """One linear layer of one unit."""
    from torch import nn

    return nn.Linear(1, 1)


recipe = Recipe(
    name="linear",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="mse",
    metrics=("mae",),
    optimizer=SGD(learning_rate=0.1),
    epochs=500,
    global_batch=3,
    validate_every=100,
    probe=Probe(input=4.0, expected=8.0, tolerance=0.05),
    input_name="x",
    output_name="y",
)
