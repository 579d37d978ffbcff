"""Metrics as one score a sample, so that they add up exactly over ranks and can be bootstrapped.

The same functions score validation during training and exported files afterwards.
"""

import numpy as np

from edge.decision import decide
from toolkit.recipe import Array


def scores(name: str, outputs: Array, targets: Array, decision: str) -> Array:
    """Score of each sample, shape [n], float64; the metric is their mean.

    Args:
        name: one of `toolkit.recipe_checks.METRICS`.
        outputs: model outputs, [n, ...].
        targets: class numbers [n], or values [n, ...].
        decision: 'argmax', 'sign' or 'value'; used by accuracy.
    """
    if name == "accuracy":
        answers = np.asarray(decide(outputs, decision)).reshape(len(outputs), -1)
        right = (answers == targets.reshape(len(targets), -1)).all(axis=1)
        return np.asarray(right, np.float64)
    difference = outputs.astype(np.float64) - targets.reshape(outputs.shape)
    values = difference**2 if name == "mse" else np.abs(difference)
    return np.asarray(values.reshape(len(values), -1).mean(axis=1))
