"""One rank of a TensorFlow world, in a process of its own: trains many small jobs, one by one.

    python tensorflow_world.py FOLDER RANK DEVICES ADDRESS...

One address a rank. For each job it writes `<job>.<rank>.npz`, named arrays, into FOLDER; a job
whose `<job>.saved.npz` is there goes on from it. More than one device makes a MirroredStrategy of
virtual CPUs.
"""

import functools
import json
import os
import sys
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="2", KERAS_BACKEND="tensorflow", CUDA_VISIBLE_DEVICES="")

import numpy as np

from toolkit import SGD, Adam, Data, PerFramework, Recipe, Split
from toolkit.data.plan import shard_bounds
from toolkit.train import tensorflow as adapter_module
from toolkit.train.adapter import Chunk, Place

FEATURES, OUTPUTS = 4, 2
STEPS, LATER = 6, 5  # before and after a restart


def dense():
    import keras

    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Dense(6, activation="tanh", kernel_regularizer="l2"),
            keras.layers.Dense(OUTPUTS),
        ]
    )


def normalised():
    import keras
    from keras import layers

    block = keras.Sequential([keras.Input((6,)), layers.BatchNormalization(), layers.ReLU()])
    return keras.Sequential(
        [keras.Input((FEATURES,)), layers.Dense(6), block, layers.Dense(OUTPUTS)]
    )


def noisy():
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Dense(OUTPUTS),
        ]
    )


def embedded():
    import keras
    from keras import layers

    words = keras.Input((FEATURES,))
    numbers = layers.Embedding(5, 3)(keras.ops.cast(keras.ops.abs(words), "int32"))
    return keras.Model(words, layers.Dense(OUTPUTS)(layers.Flatten()(numbers)))


def own_step(model, inputs, targets):
    import keras

    (x,) = inputs.values()
    return keras.ops.mean(keras.ops.square(model(x, training=True) - targets), axis=1)


def clipping_sgd():
    import keras

    return keras.optimizers.SGD(1.0, global_clipnorm=0.1)


def callbacks():
    import keras

    class Recorder(keras.callbacks.Callback):
        epochs = []  # noqa: RUF012 - one process, one job with callbacks

        def on_epoch_begin(self, epoch, logs=None):
            self.epochs.append(epoch)

        def on_epoch_end(self, epoch, logs=None):
            self.epochs.append(epoch)
            assert self.model.optimizer is not None
            self.model.stop_training = epoch == 5 and sys.argv[2] != "0"

    return [Recorder()]


def recipe(keras=dense, **fields):
    split = Split(np.zeros((1, FEATURES), np.float32), np.zeros((1, OUTPUTS), np.float32))
    fields = {"optimizer": Adam(0.01), "seed": 3} | fields
    return Recipe("job", lambda: Data(split, split), keras=keras, **fields)


JOBS = {
    "sgd": recipe(optimizer=SGD(0.05, momentum=0.9)),
    "adam": recipe(),
    "accumulated": recipe(accumulate=3),
    "own_step": recipe(train_step=PerFramework(keras=own_step)),
    "unclipped": recipe(optimizer=SGD(1.0)),
    "clipped": recipe(optimizer=SGD(1.0), clip_norm=0.1),
    "keras_clipped": recipe(optimizer=PerFramework(keras=clipping_sgd)),
    "embedded": recipe(embedded),
    "embedded_clipped": recipe(embedded, optimizer=SGD(1.0), clip_norm=0.1),
    "embedded_unclipped": recipe(embedded, optimizer=SGD(1.0)),
    "bfloat16": recipe(precision="bfloat16"),
    "float16": recipe(precision="float16", optimizer=SGD(0.05, momentum=0.9)),
    "synchronised": recipe(normalised, optimizer=SGD(0.05), sync_batch_norm=True),
    "synchronised_parts": recipe(normalised, sync_batch_norm=True, accumulate=2),
    "plain_norm": recipe(normalised, optimizer=SGD(0.05)),
    "noisy": recipe(noisy, optimizer=Adam(0.01, weight_decay=0.1)),
    "callbacks": recipe(keras_callbacks=callbacks),
    "restart_sgd": recipe(optimizer=SGD(0.05, 0.9, nesterov=True), deterministic=True),
    "restart_adamw": recipe(noisy, optimizer=Adam(0.01, weight_decay=0.1), accumulate=2),
    "restart_float16": recipe(noisy, precision="float16"),
}
JOBS["resized"] = JOBS["restart_sgd"]  # from the state of another number of workers
ONE_STEP = {name for name in JOBS if "clipped" in name}
# These see a batch of one sample, too: fewer than replicas.
SMALL_LAST = {"synchronised", "plain_norm", "adam", "accumulated", "own_step"}

EXPORTED = {"adam", "bfloat16", "float16", "plain_norm", "noisy"}


def batch(step: int, size: int, spike: bool):
    """The global batch of a step; with `spike`, its last sample is far off in step 0."""
    random = np.random.default_rng([size, step])
    x = random.normal(size=(size, FEATURES)).astype(np.float32)
    y = np.tanh(x[:, :OUTPUTS] * 2)
    y[-1] += 2000 if spike and step == 0 else 0
    return x, y, random.uniform(0.5, 2, size).astype(np.float32)


def chunk(steps: range, size: int, replica: int, replicas: int, spike: bool) -> Chunk:
    batches = [batch(step, size, spike) for step in steps]
    low, high = shard_bounds(size, replica, replicas)
    empty = low == high
    if empty:
        low, high = 0, 1
    x, y, weights = (np.stack(arrays)[:, low:high] for arrays in zip(*batches, strict=True))
    return Chunk(
        first=steps.start,
        inputs={"input": x},
        targets=y,
        weights=weights * (not empty),
        sizes=np.full(len(steps), size, np.float32),
        factors=np.array([1 / (1 + step) for step in steps], np.float32),
    )


class Rank:
    """This process's part of the world."""

    def __init__(self, folder: Path, rank: int, devices: int, peers: list[str]) -> None:
        self.folder, self.rank, self.devices, self.peers = folder, rank, devices, peers
        self.replicas = len(peers) * devices
        self.restarted = any(folder.glob("*.saved.npz"))

    def run(self, name: str) -> None:
        import keras
        from tensorflow.python.framework.config import is_op_determinism_enabled

        job = JOBS[name]
        adapter = adapter_module.TensorFlowAdapter(job, Place(self.rank, len(self.peers)))
        if not self.restarted:
            keras.utils.clear_session()  # layers are named as in a fresh process
        adapter.start(self.peers, {"input": np.zeros((1, FEATURES), np.float32)})
        assert is_op_determinism_enabled() or not job.deterministic
        result = {"before." + key: value for key, value in adapter.state().items()}
        saved = self.folder / f"{name}.saved.npz"
        if saved.exists():
            with np.load(saved) as arrays:
                adapter.restore(dict(arrays))
            self.train(adapter, name, range(STEPS, STEPS + LATER))
        elif name.startswith("restart"):
            self.train(adapter, name, range(STEPS))
            result |= {"saved." + key: value for key, value in adapter.state().items()}
            self.train(adapter, name, range(STEPS, STEPS + LATER))
        else:
            adapter.train_begin(8, 4)
            result["losses"] = self.train(adapter, name, range(1 if name in ONE_STEP else STEPS))
            if name in SMALL_LAST:
                self.steps(adapter, range(3), 1, False)
            result["stops"] = [adapter.epoch_end(epoch, {"loss": 0.5}) for epoch in (5, 6)]
        result |= adapter.state()
        result |= dict(self.answers(adapter, name))
        np.savez(self.folder / f"{name}.{self.rank}.npz", **result)

    def train(self, adapter, name, steps):
        """Train batches of 7 in calls of 1, 2, 3 and so on steps."""
        losses, first, length = [], steps.start, 1
        while first < steps.stop:
            part = range(first, min(first + length, steps.stop))
            losses.append(self.steps(adapter, part, 7, name == "float16"))
            first, length = part.stop, length + 1
        return np.concatenate(losses)

    def steps(self, adapter, steps, size, spike):
        mine = range(self.rank * self.devices, (self.rank + 1) * self.devices)
        chunks = [chunk(steps, size, replica, self.replicas, spike) for replica in mine]
        return adapter.all_sum(adapter.train(chunks))

    def answers(self, adapter, name):
        """What the adapter says about its model, and on rank 0 what its file says."""
        if adapter._callbacks:
            yield "epochs", adapter._callbacks.callbacks[0].epochs
        x = batch(99, 5, False)[0]
        yield "traces", adapter._steps._compiled.experimental_get_tracing_count()
        yield "dependent", np.array(json.dumps(adapter.batch_dependent()))
        yield "notes", np.array(json.dumps(adapter.notes))
        yield "predicted", adapter.predict({"input": x})
        if self.rank:
            assert adapter.files({"input": x[:1]}) == {}
        elif name in EXPORTED:
            yield from self.exported(adapter, x)

    def exported(self, adapter, x):
        import keras
        import tensorflow as tf

        graph = tf.compat.v1.GraphDef.FromString(adapter.graph({"input": x[:1]}))
        yield "operations", np.array(sorted({node.op for node in graph.node}))
        (content,) = adapter.files({"input": x[:1]}).values()
        path = self.folder / "model.keras"
        path.write_bytes(content)
        model = keras.models.load_model(path)
        yield "exported", model.predict(x, verbose=0)
        yield "computes", np.array([layer.compute_dtype for layer in model.layers])


def main() -> None:
    folder, rank, devices, peers = Path(sys.argv[1]), *map(int, sys.argv[2:4]), sys.argv[4:]
    import keras
    import tensorflow as tf

    make = adapter_module._strategy
    if devices > 1:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * devices,
        )
        names = [f"CPU:{number}" for number in range(devices)]
        make = lambda world: tf.distribute.MirroredStrategy(names)  # noqa: E731
    adapter_module._strategy = functools.cache(make)  # one strategy a process
    me = Rank(folder, rank, devices, peers)
    if me.restarted:  # layers are numbered on, and determinism is there from the start
        keras.layers.Dense(1), keras.layers.Dense(1), keras.layers.BatchNormalization()
    restarts = {path.name.split(".")[0] for path in folder.glob("*.saved.npz")}
    for name in JOBS:
        if name in restarts or not (me.restarted or name == "resized"):
            me.run(name)


if __name__ == "__main__":
    main()
