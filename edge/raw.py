"""From what came in (typed text, JSON, bytes of a file) to raw arrays by input name."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from edge import steps
from edge.errors import InputError
from edge.model import Model
from edge.read_input import checked, read, read_content, read_texts

MAX_BYTES = 256 << 20
"""Of a file or a line that comes in by itself."""

CONTENT_TYPES = {
    "application/x-npy": ".npy",
    "text/csv": ".csv",
    "text/plain": ".txt",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/bmp": ".bmp",
    "image/webp": ".webp",
}
"""Content-Type -> suffix of such a file. JSON is apart."""


def takes_text(model: Model, name: str) -> bool:
    """Whether the input `name` takes texts: its first step tokenises."""
    return steps.takes_text(model.manifest.preprocessing.get(name, ()) if model.manifest else ())


def read_for(model: Model, name: str, text: str) -> np.ndarray:
    """What a typed `text` stands for as the input `name`; raises InputError."""
    return read_texts(text, sys.stdin) if takes_text(model, name) else read(text, sys.stdin)


def from_json(model: Model, value: Any) -> dict[str, np.ndarray]:
    """An object of values by input name, or the value of the only input.

    Raises InputError that names the input.
    """
    names = [tensor.name for tensor in model.inputs]
    if not isinstance(value, dict):
        if len(names) > 1:
            raise InputError(f"several inputs: give an object with {', '.join(names)}")
        value = {names[0]: value}
    return {name: _array(model, name, item) for name, item in value.items()}


def from_content(model: Model, content: bytes, suffix: str) -> dict[str, np.ndarray]:
    """The content of a file for the only input; JSON may be an object for several.

    Raises InputError.
    """
    if suffix == ".json":
        return from_json(model, parse_json(content))
    if len(model.inputs) > 1:
        raise InputError("several inputs: give JSON, an object with one value for each")
    name = model.inputs[0].name
    if suffix == ".txt" and takes_text(model, name):
        try:
            return {name: np.asarray([content.decode("utf-8-sig")], dtype=np.str_)}
        except ValueError as error:
            raise InputError(f"input {name}: not UTF-8: {error}") from error
    return {name: read_content(content, suffix)}


def decoded(line: bytes) -> str:
    """One line of a stream as text; raises InputError if it is too long or not UTF-8."""
    if len(line) > MAX_BYTES:
        raise InputError(f"the line is longer than {MAX_BYTES} bytes")
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8: {error}") from error


def from_line(model: Model, line: str) -> dict[str, np.ndarray]:
    """One line of a stream: JSON that begins with { or [, or what --input takes but for `-`.

    Raises InputError.
    """
    text = line.strip()
    if text == "-":
        raise InputError("input -: this is standard input already")
    if text.startswith("{"):
        return from_json(model, parse_json(text.encode()))
    names = [tensor.name for tensor in model.inputs]
    if len(names) > 1:
        raise InputError(f"several inputs: give a JSON object with {', '.join(names)}")
    return {names[0]: read_for(model, names[0], text)}


def suffix_of(path: str) -> str:
    """The suffix of a file's name in lower case, with its dot."""
    return os.path.splitext(path)[1].lower()  # noqa: PTH122


def parse_json(content: bytes) -> Any:
    """JSON in UTF-8; raises InputError."""
    import json

    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}") from error


def _array(model: Model, name: str, item: Any) -> np.ndarray:
    text = isinstance(item, str) or (
        isinstance(item, list) and all(isinstance(each, str) for each in item) and bool(item)
    )
    if text and takes_text(model, name):
        return np.atleast_1d(np.asarray(item, dtype=np.str_))
    try:
        array = np.asarray(item)
    except ValueError as error:
        raise InputError(f"input {name}: the lists differ in length") from error
    return checked(array, name)
