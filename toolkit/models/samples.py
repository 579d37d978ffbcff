"""Samples of a model from elsewhere: read from a file, or made up from its signature."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.errors import ModelError
from edge.tensor import Tensor
from toolkit.card import Card
from toolkit.data import checks
from toolkit.errors import DataError, NotFoundError, UsageError
from toolkit.models.adopt import Given
from toolkit.recipe import Array

_ENTRY = re.compile(r"\s*([^:\s]+):(\w+)\[([^\]]*)\]\s*(?:<(\d+))?\s*")
_TARGETS = "targets"
_FREE = 8  # entries of a free axis, when samples are made up
_MADE = 64  # samples that are made up


def read_samples(path: Path, input_name: str, card: Card | None = None) -> Given:
    """Read .npz (inputs by name and, if known, `targets`), or .npy of the only input.

    Args:
        path: the file.
        input_name: what the only input of a .npy file is called.
        card: its preprocessing says which inputs are texts; without it none is.

    Raises:
        NotFoundError: there is no such file.
        DataError: it holds no arrays of equal length, or NaN.
    """
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            named = (
                {input_name: loaded}
                if isinstance(loaded, np.ndarray)
                else {name: loaded[name] for name in loaded.files}
            )
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise DataError(
            f"{path} is no .npz or .npy file of numbers: {error}; write it with numpy.savez(path, "
            "INPUT=array, targets=array)"
        ) from error
    steps = {name: card.steps_for(name) if card else [] for name in named}
    found = named.pop(_TARGETS, None)
    targets = None if found is None else checks.numbers(f"{path}, {_TARGETS!r}", found)
    arrays = {
        name: checks.raw_input(f"{path}, {name!r}", array, steps[name])
        for name, array in named.items()
    }
    lengths = {name: len(array) for name, array in arrays.items()}
    if targets is not None:
        lengths[_TARGETS] = len(targets)
    if not arrays or len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in lengths.items()) or "no arrays"
        raise DataError(f"{path}: needs inputs with as many samples each; it has {told}")
    return Given(arrays, targets)


def parse_signature(text: str) -> tuple[tuple[Tensor, ...], dict[str, int]]:
    """Read 'image:float32[n,28,28,1]; ids:int32[n,16]<1000'.

    Returns:
        The inputs, and for integers the number that values stay below, by name.

    Raises:
        UsageError: it is written otherwise.
    """
    tensors, limits = [], {}
    for part in text.split(";"):
        match = _ENTRY.fullmatch(part)
        try:
            if match is None:
                raise ModelError(f"{part.strip()!r} is not NAME:DTYPE[n,SIZE,...]")
            name, dtype, sizes, limit = match.groups()
            shape = [int(size) if size.strip().isdecimal() else None for size in sizes.split(",")]
            tensors.append(Tensor.from_json({"name": name, "shape": shape, "dtype": dtype}, part))
        except ModelError as error:
            example = "image:float32[n,28,28,1]; ids:int32[n,16]<1000"
            raise UsageError(f"--signature: {error}; write it like {example!r}") from error
        if limit:
            limits[name] = int(limit)
    return tuple(tensors), limits


def make_up(
    inputs: Sequence[Tensor],
    limits: dict[str, int] | None = None,
    seed: int = 0,
    count: int = _MADE,
) -> Given:
    """Samples of the right shapes: normal floats, and integers from 0 up to a limit.

    Args:
        inputs: the model's, axis 0 counts the samples.
        limits: number that an integer input's values stay below, by name; 2 without one.
        seed: of the numbers.
        count: of the samples.
    """
    random = np.random.default_rng(seed)

    def array(tensor: Tensor) -> Array:
        shape = (count, *(size or _FREE for size in tensor.shape[1:]))
        dtype = np.dtype(tensor.dtype)
        if dtype.kind == "f":
            return random.normal(size=shape).astype(dtype)
        high = 256 if dtype == np.uint8 else 2
        return random.integers(0, (limits or {}).get(tensor.name, high), shape).astype(dtype)

    return Given({tensor.name: array(tensor) for tensor in inputs}, real=False)
