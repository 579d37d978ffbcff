"""The files of checkpoints: bytes from values and values from bytes, no storage.

A checkpoint is a safetensors file with the arrays, and in its header all else of a `State`. The
list of checkpoints is JSON. Nothing is pickled.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from toolkit.errors import RecipeError
from toolkit.recipe import Array
from toolkit.train.state import State

FORMAT = 1
FILE = re.compile(r"step-\d{9,}(-again)?\.safetensors")

# Keys in a safetensors header: our JSON, and a hash of it and of what the arrays look like, so that
# a file can be trusted, its arrays' values apart, where the list with the files' hashes is lost.
_HEADER, _SEAL = "checkpoint", "sha256"
_DTYPES = {
    f"{kind[0].upper()}{bits}": f"{kind}{bits}"
    for kind in ("int", "uint", "float")
    for bits in (8, 16, 32, 64)
    if (kind, bits) != ("float", 8)
} | {"BOOL": "bool", "C64": "complex64", "BF16": "bfloat16"}


@dataclass(frozen=True)
class Identity:
    """What a checkpoint belongs to.

    Attributes:
        recipe: SHA-256 of the recipe's text and overrides.
        framework: 'tf' or 'torch'.
        data: SHA-256 of the data.
    """

    recipe: str
    framework: str
    data: str


_UNKNOWN = Identity("", "", "")  # of a file in a newer format


@dataclass(frozen=True)
class Entry:
    """One listed checkpoint.

    Attributes:
        name: of its file.
        step: optimizer steps done.
        sha256: of the file's content.
        bytes: the file's length.
        created: UTC, ISO 8601.
        metric: what the best is chosen by, where an epoch ended with `step`; always finite.
    """

    name: str
    step: int
    sha256: str
    bytes: int
    created: str
    metric: float | None

    @property
    def title(self) -> str:
        """The name as messages show it."""
        return self.name.removesuffix(".safetensors")


class DamagedError(ValueError):
    """A file is not what was written; says why."""


def encode(state: State, identity: Identity, created: str, metric: float | None) -> bytes:
    """A checkpoint as the content of a safetensors file.

    Raises:
        RecipeError: an array or a fact is of a kind that cannot be saved.
    """
    from safetensors.numpy import save

    arrays = {name: np.asarray(array, order="C") for name, array in state.arrays.items()}
    for name, array in arrays.items():
        if array.dtype.name not in _DTYPES.values():
            raise RecipeError(
                f"{name!r} is of dtype {array.dtype}, which a checkpoint cannot hold; "
                "use a number of up to 64 bits"
            )
    header = {"format": FORMAT, "identity": asdict(identity), "created": created}
    header |= {"metric": metric, "step": state.step, "facts": state.facts}
    try:
        text = json.dumps(header, default=_plain)
    except TypeError as error:
        raise RecipeError(f"what a callback or metric left cannot be saved: {error}") from error
    return bytes(save(arrays, {_HEADER: text, _SEAL: _seal(text, arrays)}))


def decode(content: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of a checkpoint; bit for bit what `encode` got.

    The header has 'format', 'identity' (an `Identity`), 'created', 'metric', 'step' and 'facts';
    only the first two, and there are no arrays, where the format is newer.

    Raises:
        DamagedError: it is no checkpoint, or only a part of one.
    """
    from safetensors import SafetensorError, deserialize

    try:
        views = deserialize(content)  # type: ignore[no-untyped-call]
        length = int.from_bytes(content[:8], "little")
        texts = json.loads(content[8 : 8 + length])["__metadata__"]
        arrays = {
            name: np.frombuffer(view["data"], _dtype(view["dtype"])).reshape(view["shape"])
            for name, view in views
        }
        if texts[_SEAL] != _seal(texts[_HEADER], arrays):
            raise ValueError("its header is damaged")
        header = json.loads(texts[_HEADER])
        if header["format"] > FORMAT:
            return header | {"identity": _UNKNOWN}, {}
        header["identity"] = Identity(**header["identity"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"it is no checkpoint file: {error}") from None
    return header, arrays


def encode_index(entries: Sequence[Entry], identity: Identity) -> bytes:
    """The list of checkpoints as JSON."""
    index = {"format": FORMAT, "identity": asdict(identity), "entries": [*map(asdict, entries)]}
    return json.dumps(index, indent=2, allow_nan=False).encode() + b"\n"


def decode_index(content: bytes) -> tuple[int, Identity, list[Entry]]:
    """Format, owner and entries of a list of checkpoints; no entries where the format is newer.

    Raises:
        DamagedError: it is no such list.
    """
    try:
        index = json.loads(content)
        if index["format"] > FORMAT:
            return int(index["format"]), _UNKNOWN, []
        entries = [Entry(**entry) for entry in index["entries"]]
        if not all(FILE.fullmatch(entry.name) for entry in entries):
            raise ValueError("a name is not one of ours")
        return FORMAT, Identity(**index["identity"]), sorted(entries, key=lambda each: each.step)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(str(error)) from None


def _seal(text: str, arrays: Mapping[str, Array]) -> str:
    shapes = sorted((name, array.dtype.name, array.shape) for name, array in arrays.items())
    return hashlib.sha256(f"{text}{shapes}".encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"JSON has no {type(value).__name__}")


def _dtype(code: str) -> np.dtype[Any]:
    if code == "BF16":
        import ml_dtypes  # noqa: F401 - makes the dtype known to numpy

    return np.dtype(_DTYPES[code])
