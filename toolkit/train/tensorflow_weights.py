"""Arrays of a Keras training, out and in: its state, and weights to start from.

Only arrays are read from files; no configuration or code in them is looked at.
"""

import io
import re
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import RecipeError
from toolkit.recipe import Array, Recipe

_ZIP, _HDF5 = b"PK", b"\x89HDF\r\n\x1a\n"
_WEIGHTS = "model.weights.h5"
_COUNTER = re.compile(r"_\d+(?![^/_])")  # Keras numbers names over all models of a process


def named(kind: str, variables: list[Any]) -> dict[str, Any]:
    """Variables by a name that is the same in every process, '<kind>.<index>.<path>'."""
    paths = [_COUNTER.sub("", variable.path).replace("/", ".") for variable in variables]
    return {f"{kind}.{i}.{path}": variables[i] for i, path in enumerate(paths)}


def read(strategy: Any, variables: Mapping[str, Any]) -> dict[str, Array]:
    """Copies of what this worker's first replica holds; without waiting for other workers."""
    return {
        name: np.array(_local(strategy, variable)[0].numpy())
        for name, variable in variables.items()
    }


def write(strategy: Any, variables: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Set variables on all of this worker's replicas.

    Raises:
        RecipeError: names or shapes differ; nothing was set.
    """
    _check_names(variables, arrays)
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise RecipeError(
                f"{name!r} has shape {arrays[name].shape} in the saved state, but "
                f"{tuple(variable.shape)} in the recipe's Keras model; train from the start, or "
                "with the recipe that saved it"
            )
    for name, variable in variables.items():
        for each in _local(strategy, variable):
            each.assign(arrays[name])


def copy(source: Any, target: Any, strategy: Any) -> None:
    """Set the weights of a plain model to those of a distributed one of the same builder."""
    for mine, theirs in zip(target.weights, source.weights, strict=True):
        mine.assign(_local(strategy, theirs)[0])


def start_from(recipe: Recipe, model: Any, content: bytes) -> str:
    """Take over the layers of a saved model that fit; return a note that says how many.

    Layers are matched by kind and order, as Keras does; one with any other shape stays new.

    Args:
        recipe: named in errors.
        model: its weights are set.
        content: of a '.keras' or a '.weights.h5' file.

    Raises:
        RecipeError: not such a file, or nothing in it fits.
    """
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _WEIGHTS
        model.save_weights(path)
        try:
            with h5py.File(io.BytesIO(_hdf5(content)), "r") as given, h5py.File(path, "a") as own:
                taken, new = _take_over(given, own)
        except (OSError, KeyError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
            raise _refused(recipe, f"is not a '.keras' or '.weights.h5' file: {error}") from error
        if not taken:
            raise _refused(recipe, "has no layer of the model's kinds and shapes")
        model.load_weights(path)
    note = f"started from {taken} of {taken + sum(new.values())} weights"
    return f"{note}; new: {', '.join(new)}" if new else note


def _local(strategy: Any, variable: Any) -> Any:
    return strategy.experimental_local_results(variable.value)


def _check_names(variables: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    for name in variables:
        if name not in arrays:
            raise RecipeError(f"{name!r} of the recipe's Keras model is not in the saved state")
    for name in arrays:
        if name not in variables:
            raise RecipeError(f"{name!r} of the saved state is not in the recipe's Keras model")


def _hdf5(content: bytes) -> bytes:
    if content.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read(_WEIGHTS)
    if content.startswith(_HDF5):
        return content
    raise OSError("it is neither a zip archive nor HDF5")


def _take_over(given: Any, own: Any) -> tuple[int, dict[str, int]]:
    """Copy groups of arrays that are alike; count copied arrays, and others by their group."""
    taken, new, saved = 0, dict[str, int](), _groups(given)
    for name, arrays in _groups(own).items():
        theirs = saved.get(name, {})
        if _kinds(theirs) != _kinds(arrays):
            new[name.removesuffix("/vars").removeprefix("layers/")] = len(arrays)
            continue
        for key, array in arrays.items():
            if theirs[key].external or theirs[key].is_virtual:
                raise OSError(f"{name!r} refers to another file")
            array[...] = theirs[key][...]
        taken += len(arrays)
    return taken, new


def _kinds(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {key: (array.shape, array.dtype) for key, array in arrays.items()}


def _groups(file: Any) -> dict[str, dict[str, Any]]:
    """Arrays by the name of their group and their own, without seeds: these are the recipe's.

    Links, which may lead to other files, are not followed.
    """
    found = dict[str, dict[str, Any]]()

    def visit(name: str, item: Any) -> None:
        group, _, key = name.rpartition("/")
        if hasattr(item, "dtype") and "seed_generator" not in group:
            found.setdefault(group, {})[key] = item

    file.visititems(visit)
    return found


def _refused(recipe: Recipe, problem: str) -> RecipeError:
    return RecipeError(
        f"recipe {recipe.name!r}, field 'start_from': the file for Keras {problem}; give the "
        "weights of a model with the same layers"
    )
