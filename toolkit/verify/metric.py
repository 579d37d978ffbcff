"""The loss of the task's metric from the trained model to a file, and what chance makes of it."""

from dataclasses import dataclass

import numpy as np

from toolkit.data.metrics import scores
from toolkit.recipe import Array

RESAMPLES = 2000
_AT_ONCE = 1 << 20  # numbers that are drawn at a time: 8 MB
_FEW_VALUES = 64  # so few different losses are drawn by their counts


@dataclass(frozen=True)
class Drop:
    """By how much a metric got worse; positive is worse.

    A drop of accuracy is in shares, 0 to 1. A drop of 'mae' is in standard deviations of the
    targets, one of 'mse' in their variance: both mean the same whatever the targets' unit.

    Attributes:
        metric: its name.
        before: the trained model's value.
        after: the file's.
        drop: the loss.
        low: lower end of its 95 % interval (paired bootstrap).
        high: upper end.
        samples: how many there are.
    """

    metric: str
    before: float
    after: float
    drop: float
    low: float
    high: float
    samples: int


def measure(metric: str, reference: Array, candidate: Array, targets: Array, decision: str) -> Drop:
    """Compare the metric of two sets of outputs on the same samples.

    Args:
        metric: one of `toolkit.recipe_checks.METRICS`.
        reference: the trained model's first output, [n, ...].
        candidate: the file's, alike.
        targets: what the data says, [n, ...].
        decision: 'argmax', 'sign' or 'value'.

    Raises:
        ValueError: the targets do not fit the outputs.
    """
    before = scores(metric, reference, targets, decision)
    after = scores(metric, candidate, targets, decision)
    losses = (before - after) if metric == "accuracy" else (after - before) / _unit(metric, targets)
    low, high = interval(losses)
    return Drop(
        metric,
        float(before.mean()),
        float(after.mean()),
        float(losses.mean()),
        low,
        high,
        len(losses),
    )


def _unit(metric: str, targets: Array) -> float:
    """What errors are divided by: the targets' spread, or their size where they are all alike."""
    wide = targets.astype(np.float64)
    spread = float(wide.std()) or float(np.abs(wide).max()) or 1.0
    return spread**2 if metric == "mse" else spread


def interval(losses: Array, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean loss, from `RESAMPLES` resamples of the samples.

    Args:
        losses: of each sample, [n].
        seed: the same seed gives the same interval.
    """
    random, count = np.random.default_rng(seed), len(losses)
    values, counts = np.unique(losses, return_counts=True)
    if len(values) == 1:
        return float(values[0]), float(values[0])
    if len(values) <= _FEW_VALUES:  # the same distribution, whatever the number of samples
        means = random.multinomial(count, counts / count, RESAMPLES) @ values / count
    else:
        rows = max(1, _AT_ONCE // count)
        means = np.concatenate(
            [
                losses[random.integers(0, count, (min(rows, RESAMPLES - start), count))].mean(1)
                for start in range(0, RESAMPLES, rows)
            ]
        )
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
