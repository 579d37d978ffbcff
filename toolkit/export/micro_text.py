"""Python values as C++11 source text."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

C_TYPES = {
    "float32": "float",
    "bool": "bool",
    **{f"{sign}int{bits}": f"std::{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32)},
    "int64": "std::int64_t",
}
"""numpy's name of a dtype -> C++ type."""


def identifier(name: str) -> str:
    """A name for a namespace and for files, never a word of C++: 'Digits 2' -> 'digits_2_model'."""
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not word:
        return "model"
    if word[0].isdigit():
        return f"model_{word}"
    return word if word.endswith("model") else f"{word}_model"


def string(text: str) -> str:
    """A string literal, UTF-8, free of trigraphs."""
    return '"' + "".join(map(_character, text.encode())) + '"'


def _character(byte: int) -> str:
    if byte in b'"\\?':
        return f"\\{byte:c}"
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"


def floating(value: float) -> str:
    """A float literal that reads as exactly this float32."""
    text = np.format_float_scientific(np.float32(value), unique=True)
    return f"{text}f"


def comment(lines: Iterable[str]) -> str:
    """Lines of a `//` comment; control characters, which could end one, are left out."""
    clean = (re.sub(r"[^\x20-\x7e]", " ", line).rstrip("\\").rstrip() for line in lines)
    return "\n".join(f"// {line}".rstrip() for line in clean)


def as_json(value: Any) -> str:
    """A value in one line of ASCII, for comments."""
    return json.dumps(value)


def braces(values: Sequence[int]) -> str:
    """An initialiser: `{1, 8, 8, 1}`."""
    return "{" + ", ".join(map(str, values)) + "}"


def byte_array(name: str, size: str, content: bytes) -> str:
    """The definition of an array of bytes whose address is a multiple of 16."""
    codes = [f"0x{byte:02x}," for byte in content]
    rows = [" ".join(codes[start : start + 16]) for start in range(0, len(codes), 16)]
    body = "\n    ".join(rows)
    return f"alignas(16) const unsigned char {name}[{size}] = {{\n    {body}\n}};"
