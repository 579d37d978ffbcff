"""Whether raw arrays can be trained on: numbers, class numbers, weights.

The same checks and words for arrays in memory and for batches of a stream. `first` is the number
of a batch's first sample, so that an error names the sample by its place in the split.
"""

from typing import Any

import numpy as np

from toolkit.errors import DataError
from toolkit.recipe import Array, Recipe


def numbers(where: str, value: Any, first: int = 0) -> Array:
    """`value` as an array [n, ...] of finite numbers; float64 becomes float32.

    Raises:
        DataError: ragged, empty, no numbers, or not finite in float32.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:  # such as rows of different lengths
        raise DataError(f"{where}: is no array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise DataError(f"{where}: needs numbers, not {array.dtype}; encode it first")
    if array.ndim == 0 or len(array) == 0:
        raise DataError(f"{where}: has no samples")
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):  # too large becomes infinity
            array = array.astype(np.float32)
    if not np.isfinite(array).all():
        bad = first + int(np.argwhere(~np.isfinite(array))[0][0])
        raise DataError(
            f"{where}: sample {bad} holds NaN or infinity (in float32); clean it or leave it out"
        )
    return array


def targets(recipe: Recipe, where: str, array: Array, low: float, high: float) -> None:
    """Check the targets of a split, or of a part of it, whose least and greatest are given.

    Raises:
        DataError: cross_entropy gets no class numbers, or one that is out of range.
    """
    if recipe.loss != "cross_entropy":
        return
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(
            f"{where}: cross_entropy needs class numbers, shape [n] of integers, "
            f"not {array.dtype} {array.shape}"
        )
    classes = len(recipe.labels) if recipe.labels is not None else None
    if low < 0 or (classes is not None and high >= classes):
        wrong = int(low if low < 0 else high)
        limit = f"0 to {classes - 1}, one for each of 'labels'" if classes else "0 or more"
        raise DataError(f"{where}: class {wrong} is out of range; expected {limit}")


def weights(where: str, array: Array, low: float) -> None:
    """Check sample weights, or a part of them, whose least is given.

    Raises:
        DataError: not one number >= 0 a sample.
    """
    if array.ndim != 1:
        raise DataError(f"{where}: need one number a sample, shape [n], not {array.shape}")
    if low < 0:
        raise DataError(f"{where}: {low:g} is below 0; they are factors of the loss")


def some_weight(where: str, high: float) -> None:
    """Refuse weights whose greatest is 0: nothing would be learnt."""
    if high <= 0:
        raise DataError(f"{where}: all are 0, so that nothing would be learnt")
