"""Loss scaling: what keeps float16 gradients from vanishing.

Keras's own LossScaleOptimizer looks at one replica's gradient before it is summed, so that replicas
could decide differently; this one is told what all have in common.
"""

from typing import Any

_FIRST = 2.0**15
_GROWTH_STEPS = 2000


class LossScale:
    """The factor of the loss; made inside a strategy's scope.

    It halves, and the step is left out, when the gradient of the global batch is not finite; it
    doubles after 2,000 steps without that.
    """

    def __init__(self) -> None:
        import keras

        self.factor = keras.Variable(_FIRST, dtype="float32", trainable=False)
        self._steps = keras.Variable(0, dtype="int64", trainable=False)

    @property
    def state(self) -> dict[str, Any]:
        """The variables by name."""
        return {"optimizer.loss_scale": self.factor, "optimizer.finite_steps": self._steps}

    def learn(self, finite: Any) -> None:
        """Take note of a step, outside of any replica."""
        import tensorflow as tf

        steps = tf.where(finite, self._steps + 1, 0)
        grows = steps >= _GROWTH_STEPS
        factor = tf.where(finite, tf.where(grows, 2.0, 1.0), 0.5)
        self.factor.assign(self.factor * factor)
        self._steps.assign(tf.where(grows, tf.zeros_like(steps), steps))
