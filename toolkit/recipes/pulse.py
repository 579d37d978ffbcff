"""Anomalies of an arterial pressure: an autoencoder that knows six normal heartbeats.

Number 135 of the UCR anomaly archive (Wu and Keogh, 2021): 1,200 values to learn from, and a series
that goes on for 6,301 more, of which 12 are marked. 'toolkit data fetch pulse' fetches them. The
model gives the error of its own reconstruction, as a share of a limit: above it, the answer is
'anomaly'. `python -m toolkit.recipes.pulse FILE...` tells how well exported files do.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge.errors import EdgeError
from toolkit import Adam, Cosine, Data, Probe, Recipe, Split
from toolkit.datasets import places
from toolkit.errors import DataError, ToolkitError
from toolkit.recipe import Array

LABELS = ("normal", "anomaly")
WINDOW = 64  # values; a heartbeat takes about 183
HIDDEN, CODE = 32, 8
MEAN, SCALE = 70.0, 13.0  # mmHg, of what is learnt
LIMIT = 1.0  # mmHg, root mean square; more than twice what any learnt window reaches
NOISE, SHARE = 6 * LIMIT, 0.25  # mmHg, and the part of a window that is disturbed

# A systolic rise, as it is and with noise that would wake a nurse.
QUIET = [round(57 + 36 / (1 + np.exp((30 - step) / 7)), 2) for step in range(WINDOW)]
NOISY = [value + 12 * (step % 2) for step, value in enumerate(QUIET)]


def series(part: str) -> tuple[Array, Array]:
    """Values in mmHg, float32 [n], and whether each is marked, bool [n]; 'TRAIN' or 'TEST'.

    'TEST' begins with all that 'TRAIN' holds.

    Raises:
        DataError: the file is missing, or not of numbers in three columns.
    """
    path = places.folder("pulse") / f"135_UCR_Anomaly_InternalBleeding16_{part}.csv"
    try:
        rows = np.loadtxt(path, np.float64, delimiter=",", skiprows=1, ndmin=2)
        _, values, marks = rows.T
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: {error}; fetch it again with 'toolkit data fetch pulse --force'"
        ) from error
    return values.astype(np.float32), marks.astype(bool)


def windows(values: Array) -> Array:
    """Each stretch of `WINDOW` values, one value after the other; [n, ...] to [m, WINDOW]."""
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(values, WINDOW))


def judged() -> tuple[Array, Array]:
    """Windows [n, WINDOW] of what comes after the learnt values, and whether one has a mark."""
    first = len(series("TRAIN")[0])
    values, marks = series("TEST")
    marked: Array = windows(marks[first:]).max(axis=1)
    return windows(values[first:]), marked


def data() -> Data:
    """1,137 windows to learn from and 6,238 to judge by; all that is learnt is normal.

    Behind the learnt ones come as many disturbed ones without weight: nothing is learnt from them,
    but the quantiser takes ranges of them, too, and would cut an anomaly off otherwise.
    """
    normal = windows(series("TRAIN")[0])
    inputs = np.concatenate([normal, disturbed(normal)])
    weights = np.repeat(np.array([1, 0], np.float32), len(normal))
    learnt = Split(inputs, np.zeros(len(inputs), np.int64), weights)
    values, marks = judged()
    return Data(train=learnt, validation=Split(values, marks.astype(np.int64)))


def disturbed(normal: Array) -> Array:
    """The windows with noise on a part of each; the same windows give the same noise."""
    random, length = np.random.default_rng(0), int(WINDOW * SHARE)
    starts = random.integers(0, WINDOW - length + 1, len(normal))
    places_of = starts[:, None] + np.arange(length)
    noisy = normal.copy()
    noise = random.uniform(-NOISE, NOISE, places_of.shape).astype(np.float32)
    np.put_along_axis(noisy, places_of, np.take_along_axis(normal, places_of, 1) + noise, 1)
    return noisy


def keras_model() -> Any:
    """64 values to 8 and back; mean square error as a share of the limit, minus 1; [batch, 1].

    Where all targets are 0, the cross entropy of this output falls with the error, and flattens
    below the limit.
    """
    import keras
    from keras import layers, ops

    values = keras.Input((WINDOW,))
    code = layers.Dense(CODE)(layers.Dense(HIDDEN, activation="relu")(values))
    again = layers.Dense(WINDOW)(layers.Dense(HIDDEN, activation="relu")(code))
    error = (values - again) * (SCALE / LIMIT)
    return keras.Model(values, ops.mean(error * error, axis=1, keepdims=True) - 1.0)


def torch_model() -> Any:
    """The same layers, with Keras's first weights."""
    import torch
    from torch import nn

    class Autoencoder(nn.Sequential):  # type: ignore[misc]
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            error = (values - super().forward(values)) * (SCALE / LIMIT)
            return (error * error).mean(1, keepdim=True) - 1.0

    model = Autoencoder(
        nn.Linear(WINDOW, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, CODE),
        nn.Linear(CODE, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, WINDOW),
    )
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


recipe = Recipe(
    name="pulse",
    data=data,
    keras=keras_model,
    torch=torch_model,
    loss="binary_cross_entropy",
    metrics=("accuracy",),
    optimizer=Adam(learning_rate=5e-3),
    schedule=Cosine(),
    clip_norm=1.0,
    epochs=60,
    global_batch=64,
    preprocessing=({"step": "standardize", "mean": MEAN, "std": SCALE},),
    labels=LABELS,
    probe=Probe(input=NOISY, expected=1),
    input_name="pressure",
    output_name="excess",
)


def figures(path: str) -> str:
    """How well an exported file tells anomalies, in a line.

    Raises:
        DataError: the data are missing.
        edge.errors.EdgeError: the file cannot be run.
    """
    from sklearn.metrics import roc_auc_score

    from edge.answer import answer
    from edge.runtime import load

    model = load(path)

    def errors(values: Array) -> Array:  # mmHg
        excess = answer(model, {recipe.input_name: values}).outputs[recipe.output_name]
        return np.asarray(LIMIT * np.sqrt(np.maximum(0, 1 + excess.ravel())))

    values, marked = judged()
    learnt, found = errors(windows(series("TRAIN")[0])), errors(values)
    place = "inside" if marked[found.argmax()] else "outside"
    above = found > LIMIT
    return (
        f"greatest error {learnt.max():.2f} mmHg of learnt windows, {found.max():.2f} of judged "
        f"ones ({place} the marks); ROC AUC {roc_auc_score(marked, found):.4f}; above the limit "
        f"{above[marked].sum()} of {marked.sum()} marked, {above[~marked].sum()} of "
        f"{(~marked).sum()} others"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; it ends with 2 on misuse."""
    parser = argparse.ArgumentParser(prog="python -m toolkit.recipes.pulse")
    parser.add_argument("files", nargs="+", metavar="FILE", help="an exported .tflite or .onnx")
    for file in parser.parse_args(arguments).files:
        try:
            sys.stdout.write(f"{file}: {figures(file)}\n")
        except (EdgeError, ToolkitError) as error:
            parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
