"""Values as a user types or stores them, and how they become a batch."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from edge.errors import InputError

FORMS = "a number, JSON such as [1,2], a .npy, .json or .csv file, or - for standard input"


def read(text: str, stdin: TextIO) -> np.ndarray:
    """The numbers that `text` stands for, of any shape.

    It is tried as: `-` (JSON or CSV from `stdin`), a number, JSON that begins with `[`, a path. A
    CSV file may have a header line; one column gives [rows], more give [rows, columns].

    Raises InputError if it is none of these, unreadable, ragged, or not of finite numbers only.
    """
    text = text.strip()
    try:
        array = _read(text, stdin)
    except OSError as error:
        raise InputError(f"input {text}: {error.strerror}\ngive {FORMS}") from error
    except (ValueError, csv.Error, EOFError, MemoryError, RecursionError) as error:
        # MemoryError: the header of a damaged .npy file may promise any size.
        raise InputError(f"input {_short(text)}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise InputError(f"input {_short(text)}: holds something else than numbers")
    if not array.size:
        raise InputError(f"input {_short(text)}: holds no numbers")
    if not np.isfinite(array).all():
        place = f" at {np.argwhere(~np.isfinite(array))[0].tolist()}" if array.ndim else ""
        raise InputError(f"input {_short(text)}: NaN or infinity{place}")
    return array


def _read(text: str, stdin: TextIO) -> np.ndarray:
    if text == "-":
        return _parse(stdin.read())
    if text.startswith("["):
        return _parse_json(text)
    number = _number(text)
    if number is not None:
        return np.asarray(number)
    path = Path(text)
    if path.suffix == ".npy":
        with path.open("rb") as file:  # np.load would take a zip archive for an array, too
            array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
            return array
    if path.suffix == ".json":
        return _parse_json(path.read_text("utf-8-sig"))
    if path.suffix == ".csv":
        return _parse_csv(path.read_text("utf-8-sig"))
    raise InputError(f"input {_short(text)!r} is none of them: {FORMS}")


def _parse(text: str) -> np.ndarray:
    return _parse_json(text) if text.lstrip().startswith("[") else _parse_csv(text)


def _parse_json(text: str) -> np.ndarray:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError("the lists differ in length") from error


def _parse_csv(text: str) -> np.ndarray:
    rows = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    if rows and all(_number(cell) is None for cell in rows[0]):
        rows = rows[1:]  # the header
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise ValueError(f"data row {number}: {len(row)} columns, not {len(rows[0])}")
        wrong = [cell for cell in row if _number(cell) is None]
        if wrong:
            raise ValueError(f"data row {number}: {wrong[0]!r} is not a number")
    array = np.asarray([[_number(cell) for cell in row] for row in rows], dtype=np.float64)
    return array[:, 0] if rows and len(rows[0]) == 1 else array


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _short(text: str) -> str:
    """Enough of the text to recognise it; a path is wanted whole."""
    limit = 40 if text.startswith("[") else 200
    return text if len(text) <= limit else f"{text[:limit]}..."


def to_batch(array: np.ndarray, sample_shape: Sequence[int | None]) -> np.ndarray:
    """The array as [n, *sample_shape].

    Taken are one sample or n samples of the right shape, axes of length 1 left out or added; one
    sample as a flat list of the right length; n such lists. A sample_shape with None, a free size,
    takes one or n samples of the exact shape only.

    Raises InputError that states the shape expected and the shape given.
    """
    shape, wanted = array.shape, tuple(sample_shape)
    if None in wanted:
        if _matches(shape, wanted):
            return array[np.newaxis]
        if shape and _matches(shape[1:], wanted):
            return array
    else:
        sizes = [size for size in wanted if size is not None]
        flat = math.prod(sizes)
        one = _without_ones(shape) == _without_ones(sizes) or shape == (flat,)
        many = _without_ones(shape[1:]) == _without_ones(sizes) or shape[1:] == (flat,)
        if one or (many and shape):
            return array.reshape((1 if one else len(array), *sizes))
    expected = ", ".join("any" if size is None else str(size) for size in wanted)
    raise InputError(
        f"expected one sample of shape [{expected}] or n of them, got an array of shape "
        f"{list(shape)}"
    )


def _matches(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    pairs = zip(shape, wanted)
    return len(shape) == len(wanted) and all(b is None or a == b for a, b in pairs)


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]
