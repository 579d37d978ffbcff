"""Values as a user types or stores them, and how they become a batch.

Images and sound are read in read_media.py.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from typing import BinaryIO, TextIO

import numpy as np

from edge.commands import FORMS
from edge.errors import InputError

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
SOUNDS = (".wav",)
SUFFIXES = (".npy", ".json", ".csv", ".txt", *SOUNDS, *IMAGES)


def read(text: str, stdin: TextIO) -> np.ndarray:
    """The numbers that `text` stands for, of any shape.

    It is tried as: `-` (JSON or CSV from `stdin`), a number, JSON that begins with `[`, a path. A
    CSV file may have a header line; one column gives [rows], more give [rows, columns]. An image
    gives integers [height, width, channels], a .wav file float32 [samples] or [samples, channels].

    Raises InputError if it is none of these, unreadable, ragged, or not of finite numbers only.
    """
    text = text.strip()
    try:
        return checked(_read(text, stdin), _short(text))
    except OSError as error:
        raise InputError(f"input {text}: {error.strerror or error}\ngive {FORMS}") from error
    except (ValueError, EOFError, MemoryError, RecursionError) as error:
        # MemoryError: the header of a damaged .npy file may promise any size.
        raise InputError(f"input {_short(text)}: {error}") from error


def read_content(content: bytes, suffix: str) -> np.ndarray:
    """The numbers of a file's content, given the suffix that says what it is.

    Raises InputError as `read` does.
    """
    if suffix not in SUFFIXES:
        raise InputError(f"a file {suffix or 'without suffix'}; known are {' '.join(SUFFIXES)}")
    try:
        return checked(_read_file(io.BytesIO(content), suffix, suffix), suffix)
    except (OSError, ValueError, EOFError, MemoryError, RecursionError) as error:
        raise InputError(f"input {suffix}: {error}") from error


def read_numbers(text: str) -> np.ndarray:
    """The numbers of one line, JSON that begins with [ or CSV; raises InputError as `read` does."""
    try:
        return checked(_parse(text), _short(text))
    except (ValueError, RecursionError) as error:
        raise InputError(f"input {_short(text)}: {error}") from error


def is_header(text: str, columns: int) -> bool:
    """Whether a line has so many cells of CSV, and none of them is a number."""
    cells = text.split(",")
    return (
        len(cells) == columns
        and not text.startswith("[")
        and all(_number(c) is None for c in cells)
    )


def checked(array: np.ndarray, where: str) -> np.ndarray:
    """The array itself; raises InputError if it is not of finite numbers only, or empty."""
    if array.dtype.kind not in "biuf":
        raise InputError(f"input {where}: holds something else than numbers")
    if not array.size:
        raise InputError(f"input {where}: holds no numbers")
    if not np.isfinite(array).all():
        place = f" at {np.argwhere(~np.isfinite(array))[0].tolist()}" if array.ndim else ""
        raise InputError(f"input {where}: NaN or infinity{place}")
    return array


def _read(text: str, stdin: TextIO) -> np.ndarray:
    if text == "-":
        return _parse(stdin.read())
    if text.startswith("["):
        return _parse_json(text)
    number = _number(text)
    if number is not None:
        return np.asarray(number)
    suffix = os.path.splitext(text)[1].lower()  # noqa: PTH122 - pathlib costs a cold start 3 ms
    if suffix not in SUFFIXES:
        raise InputError(f"input {_short(text)!r} is none of them: {FORMS}")
    with open(text, "rb") as file:  # noqa: PTH123
        return _read_file(file, suffix, text)


def _read_file(file: BinaryIO, suffix: str, where: str) -> np.ndarray:
    if suffix in IMAGES or suffix in SOUNDS:
        from edge import read_media

        return read_media.image(file, where) if suffix in IMAGES else read_media.sound(file, where)
    if suffix == ".npy":  # np.load would take a zip archive for an array, too
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        return array
    content = file.read().decode("utf-8-sig")
    return _parse_json(content) if suffix == ".json" else _parse_csv(content)


def read_texts(text: str, stdin: TextIO) -> np.ndarray:
    """Texts [n] for a model that takes them: one a line of `stdin` for `-`, all of a .txt file one.

    JSON that begins with `[` is a list of texts, a .json file holds one. Anything else is itself
    the one text; a name of such a file without blanks is one of a file, there or not.

    Raises InputError if a file cannot be read, or JSON is no list of texts.
    """
    if text == "-":
        return _texts(stdin.read().splitlines(), "standard input")
    if text.lstrip().startswith("["):
        return _listed(text, text)
    suffix = os.path.splitext(text)[1].lower()  # noqa: PTH122
    one_word = len(text.split()) == 1
    if suffix not in (".txt", ".json") or not (one_word or os.path.exists(text)):  # noqa: PTH110
        return _texts([text], text)
    content = _text_of(text)
    return _texts([content], text) if suffix == ".txt" else _listed(content, text)


def _listed(content: str, where: str) -> np.ndarray:
    import json

    try:
        return _texts(json.loads(content), where)
    except (ValueError, RecursionError) as error:
        raise InputError(f"input {_short(where)}: not JSON: {error}") from error


def _text_of(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"input {path}: {error}") from error


def _texts(values: object, where: str) -> np.ndarray:
    if not isinstance(values, list) or not values or not all(type(v) is str for v in values):
        raise InputError(f"input {_short(where)}: expected texts, one a line or a JSON list")
    return np.asarray(values, dtype=np.str_)


def _parse(text: str) -> np.ndarray:
    return _parse_json(text) if text.lstrip().startswith("[") else _parse_csv(text)


def _parse_json(text: str) -> np.ndarray:
    import json

    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError("the lists differ in length") from error


def _parse_csv(text: str) -> np.ndarray:
    import csv

    try:
        lines = list(csv.reader(text.splitlines()))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    rows = [row for row in lines if any(cell.strip() for cell in row)]
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
