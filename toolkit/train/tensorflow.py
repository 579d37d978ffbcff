"""TensorFlow: a Keras model under tf.distribute. Knows nothing of Ray.

`model.fit` does not work under MultiWorkerMirroredStrategy in Keras 3 (keras-team/keras#20585), so
the steps are our own: Keras's model, loss, optimizer and callbacks inside `strategy.run`, many
steps in one `tf.function` (see `tensorflow_step`).
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.builders import call_keras, keras_model
from toolkit.recipe import Array
from toolkit.train import tensorflow_parts as parts
from toolkit.train import tensorflow_weights as weights_of
from toolkit.train.adapter import Adapter, Chunk
from toolkit.train.tensorflow_step import Steps


class TensorFlowAdapter(Adapter):
    """MultiWorkerMirroredStrategy over workers, MirroredStrategy over the GPUs of one worker."""

    def start(
        self, peers: Sequence[str], example: Mapping[str, Array], weights: bytes | None = None
    ) -> None:
        self._join(peers)
        import keras
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(self.place.threads)
        tf.config.threading.set_inter_op_parallelism_threads(max(2, self.place.threads))
        if self.recipe.deterministic:
            tf.config.experimental.enable_op_determinism()
        self._strategy = _strategy(self.place.world)  # before any op: collectives need it
        keras.utils.set_random_seed(self.recipe.seed)
        with self._strategy.scope():
            self._model = parts.training_model(self.recipe, example)
            if weights is not None:
                self.notes.append(weights_of.start_from(self.recipe, self._model, weights))
            optimizer = parts.optimizer(self.recipe)
            optimizer.build(self._model.trainable_variables)
        self._loss = parts.loss(self.recipe)
        training = parts.Training(self._strategy, self._model, optimizer, self._loss)
        self._steps = Steps(self.recipe, training, self.place.rank * self.replicas)
        self._model_state = weights_of.named("model", self._model.variables)
        self._optimizer_state = weights_of.named("optimizer", optimizer.variables)
        self._optimizer_state |= self._steps.state
        self._callbacks = self._callback_list(optimizer)
        self._example, self._plain, self._plain_is_old = example, None, True
        self._mixed = self.recipe.precision != "float32"
        self._forward = self._compile_forward(example)
        self._reduce = self._compile_reduce()

    @property
    def model(self) -> Any:
        return self._model

    @property
    def replicas(self) -> int:
        return int(self._strategy.num_replicas_in_sync) // self.place.world

    def train(self, chunks: Sequence[Chunk]) -> Array:
        if self._callbacks:
            self._callbacks.on_train_batch_begin(0)
        losses = self._steps(chunks)
        self._plain_is_old = True
        if self._callbacks:
            self._callbacks.on_train_batch_end(0, {"loss": float(losses[-1])})
        return losses

    def state(self) -> dict[str, Array]:
        return weights_of.read(self._strategy, self._model_state | self._optimizer_state)

    def restore(self, arrays: Mapping[str, Array]) -> None:
        variables = dict(self._model_state)
        if any(name.startswith("optimizer.") for name in arrays):
            variables |= self._optimizer_state
        weights_of.write(self._strategy, variables, arrays)
        self._plain_is_old = True

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        import tensorflow as tf

        if self._mixed:
            self._plain_model()
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
        if self.place.rank:
            return {}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            self._plain_model().save(path)
            return {path.name: path.read_bytes()}

    def graph(self, example: Mapping[str, Array]) -> bytes | None:
        graph = self._forward.get_concrete_function().graph.as_graph_def()
        content: bytes = graph.SerializeToString()
        return content

    def batch_dependent(self) -> list[str]:
        return parts.batch_dependent(self.recipe, self._model)

    def train_begin(self, epochs: int, epoch: int = 0) -> None:
        if self._callbacks:
            self._callbacks.set_params({"epochs": epochs, "verbose": 0})
            self._callbacks.on_train_begin()
            self._callbacks.on_epoch_begin(epoch)

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

    def _callback_list(self, optimizer: Any) -> Any:
        if self.recipe.keras_callbacks is None:
            return None
        import keras

        with self._strategy.scope():  # callbacks look for the optimizer on the model
            self._model.compile(optimizer=optimizer, auto_scale_loss=False)
        self._model.stop_training = False
        return keras.callbacks.CallbackList(self.recipe.keras_callbacks(), model=self._model)

    def _plain_model(self) -> Any:
        """The model as it is exported: float32, outside of the strategy, with today's weights."""
        if self._plain is None:
            self._plain = keras_model(self.recipe, self._example)
        if self._plain_is_old:
            weights_of.copy(self._model, self._plain, self._strategy)
            self._plain_is_old = False
        return self._plain

    def _compile_forward(self, example: Mapping[str, Array]) -> Any:
        """Inference of any number of samples by what will be exported, in float32."""
        import tensorflow as tf

        plain = self._plain_model() if self._mixed else None
        signature = {
            name: tf.TensorSpec([None, *array.shape[1:]], array.dtype)
            for name, array in example.items()
        }

        @tf.function(input_signature=[signature], autograph=False)  # type: ignore[untyped-decorator]
        def forward(inputs: Any) -> Any:
            if plain is not None:
                return call_keras(plain, inputs, training=False)
            return self._strategy.run(lambda: call_keras(self._model, inputs, training=False))

        return forward

    def _compile_reduce(self) -> Callable[[Any], Any]:
        import tensorflow as tf

        @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]
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
