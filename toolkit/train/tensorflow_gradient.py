"""The gradient of the mean loss over the global batch, equal on all replicas.

Each replica adds up its micro-batches; one all-reduce sums the replicas; only then is the gradient
unscaled and clipped, so that all decide alike. Keras's order is another: its optimizers clip and
check what one replica has, and all-reduce afterwards.
"""

from typing import Any

from toolkit.builders import call_keras
from toolkit.recipe import Recipe
from toolkit.train.tensorflow_parts import Training, batch_norms, layers
from toolkit.train.tensorflow_scale import LossScale

Gradients = dict[int, Any]  # by index of the trainable variable


class MeanGradient:
    """Loss and gradient of one step, out of the parts of all replicas of this worker.

    Args:
        recipe: its precision, `clip_norm`, `accumulate` and `train_step` count here.
        training: what is trained.
        first: global number of this worker's first replica.
        scale: of the loss, or None.
    """

    def __init__(
        self, recipe: Recipe, training: Training, first: int, scale: LossScale | None
    ) -> None:
        self._recipe, self._training = recipe, training
        self._first, self._scale = first, scale
        self._strategy, self._model = training.strategy, training.model
        self._replicas = training.replicas
        self._weights = list(self._model.trainable_variables)
        self._statistics = self._drifting() if self._replicas > 1 else []
        self._sums = self._make_sums() if recipe.accumulate > 1 else []

    def __call__(self, parts: Any, index: Any) -> tuple[Any, Gradients, Any]:
        """Of step `index`: this worker's share of the loss, gradients, and whether all are finite.

        Called outside of any replica, while the graph is made.
        """
        run = self._strategy.run
        before = run(self._read_statistics)
        if self._recipe.accumulate > 1:
            loss = self._accumulate(parts, index)
            gradients = run(self._read_sums)
        else:
            losses, gradients = run(self._backward, args=(parts, index))
            loss = self._local_sum(losses)
        gradients, finite = run(self._reduce, args=(gradients, before))
        return loss, gradients, self._strategy.experimental_local_results(finite)[0]

    def _accumulate(self, parts: Any, index: Any) -> Any:
        """Add up the gradients of micro-batches, one after the other; return the loss."""
        import tensorflow as tf

        # By the global batch, so that all replicas do the same number of micro-batches.
        smallest = tf.cast(parts[0]["sizes"][index], tf.int32) // self._replicas
        count = tf.clip_by_value(smallest, 1, self._recipe.accumulate)
        self._strategy.run(self._clear_sums)

        def add(micro: Any, loss: Any) -> tuple[Any, Any]:
            losses = self._strategy.run(self._add, args=(parts, index, micro, count))
            return micro + 1, loss + self._local_sum(losses)

        _, loss = tf.while_loop(
            lambda micro, _: micro < count, add, (0, 0.0), parallel_iterations=1
        )
        return loss

    def _add(self, parts: Any, index: Any, micro: Any, count: Any) -> Any:
        import tensorflow as tf

        loss, gradients = self._backward(parts, index, micro, count)
        self._connected = list(gradients)
        for number, gradient in gradients.items():
            self._sums[number].assign_add(tf.convert_to_tensor(gradient))
        return loss

    def _backward(
        self, parts: Any, index: Any, micro: Any = 0, count: Any = 1
    ) -> tuple[Any, Gradients]:
        """This replica's share of the mean loss, and its gradients, of one micro-batch."""
        import tensorflow as tf

        part = parts[self._local_replica()]
        inputs, targets, weights = (
            self._taken(part[name], index, micro, count)
            for name in ("inputs", "targets", "weights")
        )
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(self._losses(inputs, targets) * weights) / part["sizes"][index]
            total = loss + self._penalties() / tf.cast(self._replicas * count, tf.float32)
            total = self._training.optimizer.scale_loss(total)
            if self._scale is not None:
                total *= self._scale.factor
        gradients = tape.gradient(total, self._weights)
        return loss, {i: each for i, each in enumerate(gradients) if each is not None}

    def _penalties(self) -> Any:
        """Sum of what the model's regularisers add to the loss, in float32."""
        import tensorflow as tf

        each = [tf.cast(penalty, tf.float32) for penalty in self._model.losses]
        return tf.add_n(each) if each else 0.0

    def _taken(self, tensors: Any, index: Any, micro: Any, count: Any) -> Any:
        """The samples of one micro-batch of step `index`, or of all of the step."""
        import tensorflow as tf

        def taken(tensor: Any) -> Any:
            whole = tensor[index]
            if self._recipe.accumulate == 1:
                return whole
            samples = tf.shape(whole)[0]
            return whole[samples * micro // count : samples * (micro + 1) // count]

        return tf.nest.map_structure(taken, tensors)

    def _losses(self, inputs: Any, targets: Any) -> Any:
        """Loss of each sample in float32, [batch]."""
        import tensorflow as tf

        own = self._recipe.train_step
        if own is not None:
            assert own.keras is not None
            return tf.cast(own.keras(self._model, inputs, targets), tf.float32)
        outputs = call_keras(self._model, inputs, training=True)
        if self._recipe.precision != "float32":
            outputs = tf.cast(outputs, tf.float32)
        return self._training.loss(targets, outputs)

    def _reduce(self, gradients: Gradients, before: list[Any]) -> tuple[Gradients, Any]:
        """The gradient of the mean over the global batch, clipped, and whether it is finite."""
        import tensorflow as tf

        changes = [each.value - old for each, old in zip(self._statistics, before, strict=True)]
        context = tf.distribute.get_replica_context()
        reduced = context.all_reduce("SUM", [*gradients.values(), *changes])
        values, changes = reduced[: len(gradients)], reduced[len(gradients) :]
        for each, old, change in zip(self._statistics, before, changes, strict=True):
            each.assign(old + change / self._replicas)
        finite: Any = True
        if self._scale is not None:
            values = [tf.convert_to_tensor(value) / self._scale.factor for value in values]
            finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in values])
        if self._recipe.clip_norm is not None:
            dense = [tf.convert_to_tensor(value) for value in values]  # adds up repeated rows
            values, _ = tf.clip_by_global_norm(dense, self._recipe.clip_norm)
        return dict(zip(gradients, values, strict=True)), finite

    def _drifting(self) -> list[Any]:
        """Variables that each replica changes by what it sees: of plain batch norm, for example.

        Their mean change is made everywhere, so that all replicas keep equal values.
        """
        alike = [layer for layer in batch_norms(self._model) if layer.synchronized]
        alike += [layer for layer in layers(self._model) if not layer.trainable]
        known = {id(variable) for layer in alike for variable in layer.variables}
        weights = self._model.non_trainable_weights
        return [each for each in weights if id(each) not in known and "float" in each.dtype]

    def _read_statistics(self) -> list[Any]:
        import tensorflow as tf

        return [tf.identity(each.value) for each in self._statistics]

    def _make_sums(self) -> list[Any]:
        import tensorflow as tf

        local = tf.VariableSynchronization.ON_READ
        return [
            tf.Variable(tf.zeros(each.shape, each.dtype), trainable=False, synchronization=local)
            for each in self._weights
        ]

    def _clear_sums(self) -> None:
        import tensorflow as tf

        for each in self._sums:
            each.assign(tf.zeros_like(each))

    def _read_sums(self) -> Gradients:
        import tensorflow as tf

        return {number: tf.identity(self._sums[number]) for number in self._connected}

    def _local_replica(self) -> int:
        import tensorflow as tf

        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        return int(tf.get_static_value(number)) - self._first

    def _local_sum(self, losses: Any) -> Any:
        import tensorflow as tf

        return tf.add_n(self._strategy.experimental_local_results(losses))
