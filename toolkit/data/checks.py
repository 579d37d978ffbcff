"""Whether raw arrays can be trained on: numbers, texts, class numbers, weights.

The same checks and words for arrays in memory and for batches of a stream. `first` is the number
of a batch's first sample, so that an error names the sample by its place in the split.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge.steps import takes_text
from toolkit import artifacts
from toolkit.errors import DataError
from toolkit.recipe import Array, Recipe

_ENCODE = "encode it first"
_TOKENISE = (
    "if these are texts, let the input's preprocessing begin with a 'tokenise' step (docs/steps.md)"
)


def raw_input(where: str, value: Any, steps: Sequence[Mapping[str, Any]]) -> Array:
    """`value` as a raw input: texts [n] where the first of its steps tokenises, else numbers.

    Numbers [n] become [n, 1].

    Raises:
        DataError: it is neither, or not what the steps take.
    """
    if takes_text(steps):
        return texts(where, value)
    array = numbers(where, value, instead=_TOKENISE)
    return array[:, None] if array.ndim == 1 else array


def texts(where: str, value: Any) -> Array:
    """`value` as an array [n] of `str` (see `toolkit.artifacts.texts`).

    Taken are a list of `str` and arrays of `<U`, of numpy's StringDType and of objects, [n] or
    [n, 1]. numpy drops NUL characters at the end of a text and UTF-8 has no half of a surrogate
    pair: with them a device would get another text than training did.

    Raises:
        DataError: something else than a text, one of these characters, another shape, or empty.
    """
    try:
        array = np.asarray(value, object)
    except ValueError as error:
        raise DataError(f"{where}: is no array: {error}") from error
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or len(array) == 0:
        raise DataError(f"{where}: needs a text a sample, shape [n], not {array.shape}")
    listed = array.tolist()
    for index, text in enumerate(listed):
        if problem := _text_problem(text):
            raise DataError(f"{where}: sample {index} {problem}")
    return artifacts.texts(map(str, listed))


def _text_problem(text: Any) -> str:
    if isinstance(text, bytes):
        return "holds bytes, which are no text yet; decode them"
    if not isinstance(text, str):
        return f"is {text!r:.80}, which is no text; tokenise takes texts only"
    if "\0" in text:
        return "holds a NUL character, which arrays of texts lose; remove it"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"cannot be written as UTF-8: {error.reason}; replace the character"
    return ""


def numbers(where: str, value: Any, first: int = 0, *, instead: str = _ENCODE) -> Array:
    """`value` as an array [n, ...] of finite numbers; float64 becomes float32.

    `instead` is what to do where there are texts.

    Raises:
        DataError: ragged, empty, no numbers, or not finite in float32.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:  # such as rows of different lengths
        raise DataError(f"{where}: is no array: {error}") from error
    if array.dtype.kind not in "fiub":
        advice = instead if array.dtype.kind in "UTO" else _ENCODE
        raise DataError(f"{where}: needs numbers, not {array.dtype}; {advice}")
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
