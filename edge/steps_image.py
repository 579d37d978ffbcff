"""Steps about the first axes of a sample (resize, crop, pad) and its colours (grayscale, channels).

An image is [height, width] or [height, width, channels]. resize has half-pixel centres and no
antialiasing, as tf.image.resize(antialias=False), torch's interpolate(align_corners=False) and
OpenCV; `nearest` is torch's nearest-exact. Pillow differs: it averages when it shrinks.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from edge.steps_fields import (
    MAX_SIDE,
    Family,
    Run,
    Step,
    bounded,
    choice,
    first,
    number,
    product,
    wholes,
)

METHODS = ("bilinear", "nearest")
SIDES = ("end", "begin", "both")
_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow and OpenCV
_MAX_CHANNELS = 1024


def _resize_problem(step: Step) -> str:
    return first(
        wholes(step, "size", [2], 1, MAX_SIDE),
        choice(step, "method", METHODS),
    ) or product(step, "size")


def _crop_problem(step: Step) -> str:
    problem = wholes(step, "size", range(1, 4), 1)
    if problem or "at" not in step:
        return problem
    return wholes(step, "at", [len(step["size"])], 0)


def _pad_problem(step: Step) -> str:
    problem = wholes(step, "size", range(1, 4), 1) or product(step, "size")
    return first(problem, number(step, "value"), choice(step, "side", SIDES))


def _channels_problem(step: Step) -> str:
    return wholes(step, "order", range(1, _MAX_CHANNELS + 1), 0, _MAX_CHANNELS - 1)


def _resize(step: Step) -> Run:
    """The tables of an axis are made once for each pair of sizes."""
    size = tuple(step["size"])
    linear = step.get("method", "bilinear") == "bilinear"
    table = functools.lru_cache(maxsize=8)(_linear_table if linear else _nearest_table)

    def run(batch: np.ndarray) -> np.ndarray:
        if batch.ndim not in (3, 4) or 0 in batch.shape[1:]:
            raise ValueError("an image has height, width and perhaps channels")
        bounded((*size, *batch.shape[3:]))
        rows, columns = (table(*sizes) for sizes in zip(batch.shape[1:3], size))
        if linear:
            return _interpolate(batch, rows, columns)
        return batch.take(rows[0], axis=1).take(columns[0], axis=2)

    return run


def _nearest_table(given: int, wanted: int) -> tuple[np.ndarray, ...]:
    """The pixel under the centre of each new one; whole numbers, so that no CPU rounds its own."""
    return ((2 * np.arange(wanted, dtype=np.int64) + 1) * given // (2 * wanted),)


def _linear_table(given: int, wanted: int) -> tuple[np.ndarray, ...]:
    """The two pixels around each new centre, and the share of the second."""
    centre = (2 * np.arange(wanted, dtype=np.int64) + 1) * given - wanted  # in 1/(2 wanted) pixels
    below, rest = np.divmod(centre, 2 * wanted)
    low, high = np.maximum(below, 0), np.minimum(below + 1, given - 1)
    return low, high, (rest / (2 * wanted)).astype(np.float32)


def _interpolate(
    batch: np.ndarray, rows: tuple[np.ndarray, ...], columns: tuple[np.ndarray, ...]
) -> np.ndarray:
    """Along the columns, then the rows, of only those pixels that are needed."""
    channels = math.prod(batch.shape[3:])
    across = np.repeat(columns[2], channels)  # one long axis: numpy is slow on short ones
    lines = []
    for index in rows[:2]:
        line = batch.take(index, axis=1)
        left, right = (
            line.take(c, axis=2).reshape(len(batch), len(index), -1).astype(np.float32, copy=False)
            for c in columns[:2]
        )
        lines.append(_between(left, right, across))
    made = _between(lines[0], lines[1], rows[2][:, np.newaxis])
    return made.reshape(len(batch), len(rows[2]), len(columns[2]), *batch.shape[3:])


def _between(low: np.ndarray, high: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Compute low + (high - low) * share, in the memory of `high`."""
    high -= low
    high *= share
    high += low
    return high


def _crop(step: Step) -> Run:
    """A view. The centre's offset is rounded down, as Keras's CenterCrop does."""
    size, at = step["size"], step.get("at")

    def run(batch: np.ndarray) -> np.ndarray:
        given = batch.shape[1 : 1 + len(size)]
        start = at or [(have - want) // 2 for have, want in zip(given, size)]
        ends = [begin + want for begin, want in zip(start, size)]
        if len(given) < len(size) or any(
            begin < 0 or end > have for begin, end, have in zip(start, ends, given)
        ):
            where = "" if at is None else f" at {list(at)}"
            raise ValueError(f"there is no {list(size)}{where} in it; pad first")
        return batch[(slice(None), *(slice(*pair) for pair in zip(start, ends)))]

    return run


def _pad(step: Step) -> Run:
    """Axes that are longer already stay as they are."""
    size, value, side = step["size"], step.get("value", 0), step.get("side", "end")

    def run(batch: np.ndarray) -> np.ndarray:
        given = batch.shape[1:]
        if len(given) < len(size):
            raise ValueError(f"there are {len(given)} axes to pad, size has {len(size)}")
        if not _holds(batch.dtype, value):
            raise ValueError(f"{value} is no {batch.dtype}; pad after the cast or scale")
        whole = [max(have, want) for have, want in zip(given, size)]
        bounded((*whole, *given[len(size) :]))
        spare = [want - have for have, want in zip(given, whole)]
        begins = [{"end": 0, "begin": room, "both": room // 2}[side] for room in spare]
        padded = np.full((len(batch), *whole, *given[len(size) :]), value, batch.dtype)
        inside = (slice(begin, begin + have) for begin, have in zip(begins, given))
        padded[(slice(None), *inside)] = batch
        return padded

    return run


def _holds(dtype: np.dtype, value: float) -> bool:
    if dtype.kind == "f":
        return True
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return low <= value <= high and value == int(value)


def _grayscale(_: Step) -> Run:
    red, green, blue = map(np.float32, _LUMA)

    def run(batch: np.ndarray) -> np.ndarray:
        if batch.shape[-1] != 3 or batch.ndim < 2:
            raise ValueError("the last axis has not the three colours red, green, blue")
        gray = np.multiply(batch[..., 0], red, dtype=np.float32)
        gray += np.multiply(batch[..., 1], green, dtype=np.float32)
        gray += np.multiply(batch[..., 2], blue, dtype=np.float32)
        return np.expand_dims(gray, -1)

    return run


def _channels(step: Step) -> Run:
    order = list(step["order"])

    def run(batch: np.ndarray) -> np.ndarray:
        if batch.ndim < 2 or batch.shape[-1] <= max(order):
            raise ValueError(f"there is no channel {max(order)} in the last axis")
        bounded((*batch.shape[1:-1], len(order)))
        return batch.take(order, axis=-1)

    return run


FAMILY: Family = (
    {
        "resize": _resize_problem,
        "crop": _crop_problem,
        "pad": _pad_problem,
        "grayscale": lambda _: "",
        "channels": _channels_problem,
    },
    {
        "resize": _resize,
        "crop": _crop,
        "pad": _pad,
        "grayscale": _grayscale,
        "channels": _channels,
    },
)
