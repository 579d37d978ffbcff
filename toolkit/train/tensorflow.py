"""TensorFlow: a Keras model under tf.distribute. Knows nothing of Ray.

`model.fit` does not work under MultiWorkerMirroredStrategy in Keras 3 (keras-team/keras#20585), so
the steps are our own: Keras's model, loss, optimizer and callbacks inside `strategy.run`, many
steps in one `tf.function`.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.builders import call_keras, keras_model
from toolkit.recipe import SGD, Adam, Array, PerFramework, Recipe
from toolkit.train.adapter import Adapter, Chunk


class TensorFlowAdapter(Adapter):
    """MultiWorkerMirroredStrategy over workers, MirroredStrategy over the GPUs of one worker."""

    def start(self, peers: Sequence[str], example: Mapping[str, Array]) -> None:
        self._join(peers)
        import keras
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(self.place.threads)
        tf.config.threading.set_inter_op_parallelism_threads(max(2, self.place.threads))
        self._strategy = _strategy(self.place.world)  # before any op: collectives need it
        keras.utils.set_random_seed(self.recipe.seed)
        with self._strategy.scope():
            self._model = keras_model(self.recipe, example)
            self._optimizer = _optimizer(self.recipe)
            self._optimizer.build(self._model.trainable_variables)
        self._loss = _loss(self.recipe)
        self._callbacks = self._callback_list()
        self._base_rate = float(self._optimizer.learning_rate.numpy())
        self._steps = self._compile_steps()
        self._forward = self._compile_forward()
        self._reduce = self._compile_reduce()

    @property
    def replicas(self) -> int:
        return int(self._strategy.num_replicas_in_sync) // self.place.world

    def train(self, chunks: Sequence[Chunk]) -> Array:
        if self._callbacks:
            self._callbacks.on_train_batch_begin(0)
        parts = [_tensors(chunk) for chunk in chunks]
        losses = self._steps(_distribute(self._strategy, parts)).numpy()
        if self._callbacks:
            self._callbacks.on_train_batch_end(0, {"loss": float(losses[-1])})
        return np.asarray(losses, np.float64)

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        import tensorflow as tf

        tensors = {name: tf.convert_to_tensor(array) for name, array in inputs.items()}
        outputs = self._strategy.experimental_local_results(self._forward(tensors))
        return np.asarray(outputs[0].numpy())

    def losses(self, outputs: Array, targets: Array) -> Array:
        return np.asarray(self._loss(targets, outputs))

    def all_sum(self, values: Array) -> Array:
        if self.place.world == 1:
            return values
        import tensorflow as tf

        share = tf.convert_to_tensor(values / self.replicas, tf.float64)
        return np.asarray(self._reduce(share).numpy())

    def files(self, example: Mapping[str, Array]) -> dict[str, bytes]:
        weights = self._model.get_weights()  # on every rank: it may be a collective
        if self.place.rank:
            return {}
        model = keras_model(self.recipe, example)  # outside of the strategy: plain variables
        model.set_weights(weights)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            return {path.name: path.read_bytes()}

    def train_begin(self, epochs: int) -> None:
        if self._callbacks:
            self._callbacks.set_params({"epochs": epochs, "verbose": 0})
            self._callbacks.on_train_begin()
            self._callbacks.on_epoch_begin(0)

    def epoch_end(self, epoch: int, logs: Mapping[str, float]) -> bool:
        if not self._callbacks:
            return False
        self._callbacks.on_epoch_end(epoch - 1, dict(logs))
        stop = self.all_sum(np.array([float(self._model.stop_training)]))[0] > 0
        if not stop and epoch < self.recipe.epochs:
            self._callbacks.on_epoch_begin(epoch)
        return bool(stop)

    def train_end(self, logs: Mapping[str, float]) -> None:
        if self._callbacks:
            self._callbacks.on_train_end(dict(logs))

    @property
    def wants_epochs(self) -> bool:
        return self._callbacks is not None

    def _join(self, peers: Sequence[str]) -> None:
        os.environ.pop("TF_CONFIG", None)
        if self.place.world > 1:
            task = {"type": "worker", "index": self.place.rank}
            config = {"cluster": {"worker": list(peers)}, "task": task}
            os.environ["TF_CONFIG"] = json.dumps(config)

    def _callback_list(self) -> Any:
        if self.recipe.keras_callbacks is None:
            return None
        import keras

        with self._strategy.scope():
            self._model.compile(optimizer=self._optimizer)  # callbacks look for it on the model
        self._model.stop_training = False
        return keras.callbacks.CallbackList(self.recipe.keras_callbacks(), model=self._model)

    def _compile_steps(self) -> Callable[[Any], Any]:
        import tensorflow as tf

        strategy = self._strategy
        step = self._replica_step()

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def steps(parts: Any) -> Any:
            count = tf.shape(strategy.experimental_local_results(parts["sizes"])[0])[0]
            losses = tf.TensorArray(tf.float32, size=count)
            for index in tf.range(count):
                loss = strategy.run(step, args=(parts, index))
                local = tf.add_n(strategy.experimental_local_results(loss))
                losses = losses.write(index, local)
            return losses.stack()

        return steps  # type: ignore[no-any-return]

    def _replica_step(self) -> Callable[[Any, Any], Any]:
        import tensorflow as tf

        model, optimizer, loss_function = self._model, self._optimizer, self._loss
        replicas, base_rate = self._strategy.num_replicas_in_sync, self._base_rate

        def step(part: Any, index: Any) -> Any:
            inputs = {name: tensor[index] for name, tensor in part["inputs"].items()}
            if "factors" in part:
                optimizer.learning_rate.assign(base_rate * part["factors"][index])
            with tf.GradientTape() as tape:
                outputs = call_keras(model, inputs, training=True)
                losses = loss_function(part["targets"][index], outputs)
                loss = tf.reduce_sum(losses * part["weights"][index]) / part["sizes"][index]
                total = loss + (tf.add_n(model.losses) / replicas if model.losses else 0.0)
            gradients = tape.gradient(total, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        return step

    def _compile_forward(self) -> Callable[[Any], Any]:
        import tensorflow as tf

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def forward(inputs: Any) -> Any:
            return self._strategy.run(lambda: call_keras(self._model, inputs, training=False))

        return forward  # type: ignore[no-any-return]

    def _compile_reduce(self) -> Callable[[Any], Any]:
        import tensorflow as tf

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def reduce(value: Any) -> Any:
            share = self._strategy.run(lambda: tf.identity(value))
            return self._strategy.reduce("SUM", share, axis=None)

        return reduce  # type: ignore[no-any-return]


def _strategy(world: int) -> Any:
    import tensorflow as tf

    if world > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _optimizer(recipe: Recipe) -> Any:
    import keras

    spec = recipe.optimizer
    if isinstance(spec, PerFramework):
        assert spec.keras is not None
        return spec.keras()
    if isinstance(spec, SGD):
        return keras.optimizers.SGD(spec.learning_rate, spec.momentum, spec.nesterov)
    assert isinstance(spec, Adam)
    make = keras.optimizers.AdamW if spec.weight_decay else keras.optimizers.Adam
    return make(
        spec.learning_rate,
        beta_1=spec.beta_1,
        beta_2=spec.beta_2,
        epsilon=spec.epsilon,
        weight_decay=spec.weight_decay or None,
    )


def _loss(recipe: Recipe) -> Callable[[Any, Any], Any]:
    """Loss as a function of (targets, outputs) with one value a sample."""
    import keras

    if isinstance(recipe.loss, PerFramework):
        assert recipe.loss.keras is not None
        loss: Callable[[Any, Any], Any] = recipe.loss.keras()
        return loss
    match recipe.loss:
        case "mse":
            return _mean_over_features(lambda y, out: keras.ops.square(out - y))
        case "mae":
            return _mean_over_features(lambda y, out: keras.ops.abs(out - y))
        case "binary_cross_entropy":
            return _mean_over_features(
                lambda y, out: keras.losses.binary_crossentropy(
                    y[..., None], out[..., None], from_logits=True
                )
            )
        case _:
            return lambda y, out: keras.losses.sparse_categorical_crossentropy(
                y, out, from_logits=True
            )


def _mean_over_features(values: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    import keras

    def loss(targets: Any, outputs: Any) -> Any:
        each = values(targets, outputs)
        return keras.ops.mean(keras.ops.reshape(each, (keras.ops.shape(each)[0], -1)), axis=1)

    return loss


def _tensors(chunk: Chunk) -> dict[str, Any]:
    import tensorflow as tf

    parts: dict[str, Any] = {
        "inputs": {name: tf.convert_to_tensor(array) for name, array in chunk.inputs.items()},
        "targets": tf.convert_to_tensor(chunk.targets),
        "weights": tf.convert_to_tensor(chunk.weights),
        "sizes": tf.convert_to_tensor(chunk.sizes),
    }
    if chunk.factors is not None:
        parts["factors"] = tf.convert_to_tensor(chunk.factors)
    return parts


def _distribute(strategy: Any, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One dict of per-replica tensors out of one dict a replica."""
    if len(parts) == 1:
        return parts[0]
    import tensorflow as tf

    def merge(*tensors: Any) -> Any:
        following = iter(tensors)
        return strategy.experimental_distribute_values_from_function(lambda _: next(following))

    return tf.nest.map_structure(merge, *parts)  # type: ignore[no-any-return]
