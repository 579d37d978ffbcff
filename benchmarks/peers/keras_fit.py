"""Peer: Keras `fit` in one process, as Keras's own guide writes it.

    python -m benchmarks.peers.keras_fit RECIPE --epochs 4

Data, model, optimizer and learning rate come from the recipe. Prints one JSON object: steps a
second after a warm-up epoch, and the mean loss of the last epoch.
"""

import argparse
import json
import time
from typing import Any

import keras
import tensorflow as tf

from benchmarks.peers.mwms_loop import make_optimizer
from toolkit.data.load import load
from toolkit.source import find


class Stopwatch(keras.callbacks.Callback):
    """Time of all epochs but the first."""

    seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch > 0:  # the first one is the warm-up
            self.seconds += time.perf_counter() - self.begun


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe")
    parser.add_argument("--epochs", type=int, required=True, help="timed epochs")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(max(2, options.threads))

    recipe = find(options.recipe).load()
    train = load(recipe).train
    (inputs,) = train.inputs.values()
    steps = -(-len(train) // recipe.global_batch)
    keras.utils.set_random_seed(recipe.seed)
    model = recipe.keras()
    model.compile(
        optimizer=make_optimizer(recipe, (options.epochs + 1) * steps),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    stopwatch = Stopwatch()
    history = model.fit(
        inputs,
        train.targets,
        batch_size=recipe.global_batch,
        epochs=options.epochs + 1,
        verbose=0,
        callbacks=[stopwatch],
    )
    speed = options.epochs * steps / stopwatch.seconds
    print(json.dumps({"steps_per_second": speed, "loss": history.history["loss"][-1]}))


if __name__ == "__main__":
    main()
