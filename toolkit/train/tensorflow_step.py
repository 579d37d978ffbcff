"""The compiled training of a Keras model: many optimizer steps in one call of one graph.

Where the gradient comes from is `tensorflow_gradient`'s; what is trained `tensorflow_parts`'s.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from toolkit.recipe import Array, Recipe
from toolkit.train.adapter import Chunk
from toolkit.train.tensorflow_gradient import Gradients, MeanGradient
from toolkit.train.tensorflow_parts import Training
from toolkit.train.tensorflow_scale import LossScale


class Steps:
    """The training of one worker's replicas.

    Args:
        recipe: its precision, `clip_norm`, `accumulate` and `train_step` count here.
        training: what to train; its optimizer leaves summing over replicas to us from now on.
        first: global number of this worker's first replica.
    """

    def __init__(self, recipe: Recipe, training: Training, first: int) -> None:
        self._recipe, self._training = recipe, training
        self._base_rate = float(training.optimizer.learning_rate.numpy())
        self._compiled: Callable[[Any], Any] | None = None
        _leave_all_reduce_to_us(training.optimizer)
        with training.strategy.scope():
            self._scale = LossScale() if recipe.precision == "float16" else None
            self._gradient = MeanGradient(recipe, training, first, self._scale)

    @property
    def state(self) -> dict[str, Any]:
        """Variables of the steps themselves, by name."""
        return self._scale.state if self._scale else {}

    def __call__(self, chunks: Sequence[Chunk]) -> Array:
        """Train one chunk a replica; return [steps] this worker's share of the mean loss."""
        if self._recipe.sync_batch_norm:
            chunks = [_without_filler(chunk, self._training.replicas) for chunk in chunks]
        parts = [_tensors(chunk) for chunk in chunks]
        if self._compiled is None:
            self._compiled = self._compile(parts)
        return np.asarray(self._compiled(parts).numpy(), np.float64)

    def _compile(self, parts: list[dict[str, Any]]) -> Callable[[Any], Any]:
        """One graph for any number of steps and samples, so that nothing is traced twice."""
        import tensorflow as tf

        def relaxed(tensor: Any) -> Any:
            shape = tensor.shape.as_list()
            free = min(2, len(shape))
            return tf.TensorSpec([None] * free + shape[free:], tensor.dtype)

        # Without autograph, whose rewriting of Python takes longer than all the rest.
        @tf.function(input_signature=[tf.nest.map_structure(relaxed, parts)], autograph=False)  # type: ignore[untyped-decorator]
        def steps(parts: Any) -> Any:
            count = tf.shape(parts[0]["sizes"])[0]
            losses = tf.TensorArray(tf.float32, size=count)
            _, losses = tf.while_loop(
                lambda index, _: index < count,
                lambda index, losses: (index + 1, losses.write(index, self._step(parts, index))),
                (0, losses),
            )
            return losses.stack()

        return steps  # type: ignore[no-any-return]

    def _step(self, parts: Any, index: Any) -> Any:
        """One optimizer step of all replicas, outside of any; return this worker's loss."""
        import tensorflow as tf

        run, optimizer = self._training.strategy.run, self._training.optimizer
        if "factors" in parts[0]:
            optimizer.learning_rate.assign(self._base_rate * parts[0]["factors"][index])
        loss, gradients, finite = self._gradient(parts, index)
        if self._scale is None:
            run(self._apply, args=(gradients,))
        else:
            tf.cond(finite, lambda: run(self._apply, args=(gradients,)), lambda: None)
            self._scale.learn(finite)
        return loss

    def _apply(self, gradients: Gradients) -> None:
        weights = self._training.model.trainable_variables
        pairs = [(gradient, weights[number]) for number, gradient in gradients.items()]
        self._training.optimizer.apply_gradients(pairs)


def _leave_all_reduce_to_us(optimizer: Any) -> None:
    """Keep the optimizer from summing gradients over replicas a second time."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    inner._all_reduce_sum_gradients = list


def _without_filler(chunk: Chunk, replicas: int) -> Chunk:
    """Drop the sample that fills an empty shard: synchronised batch norm would count it."""
    if chunk.sizes[0] >= replicas or chunk.weights.any():
        return chunk
    return replace(
        chunk,
        inputs={name: array[:, :0] for name, array in chunk.inputs.items()},
        targets=chunk.targets[:, :0],
        weights=chunk.weights[:, :0],
    )


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
