"""What a model answers, whatever it is. Runs in this process, which holds no other framework."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from edge.errors import EdgeError
from toolkit.errors import ToolkitError, UsageError
from toolkit.models.source import ModelSource
from toolkit.recipe import Array

_CHUNK = 128  # samples at a time

Predict = Callable[[Mapping[str, Array]], dict[str, Array]]


def predict(model: ModelSource, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs by name, each [n, ...], for preprocessed inputs by name, each [n, ...].

    Raises:
        UsageError: the model cannot be read, or does not take the inputs.
    """
    count = len(next(iter(inputs.values())))
    first = {name: array[:1] for name, array in inputs.items()}
    run, batch = _opened(model, first)
    if batch and count % batch:
        raise UsageError(f"the model takes {batch} samples at a time; {count} is no multiple of it")
    step = batch or _CHUNK
    parts = []
    for start in range(0, count, step):
        chunk = {name: array[start : start + step] for name, array in inputs.items()}
        try:
            parts.append(run(chunk))
        except ToolkitError:
            raise
        except Exception as error:
            shapes = ", ".join(f"{n} {a.dtype}{list(a.shape)}" for n, a in chunk.items())
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise UsageError(f"the model does not take {shapes}: {reason}") from error
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _opened(model: ModelSource, example: Mapping[str, Array]) -> tuple[Predict, int | None]:
    """How to run a model, and the batch size that has to be kept, if any."""
    match model.framework:
        case "tf":
            return _keras(model, example)
        case "torch":
            return _torch(model)
        case _:
            return _file(model), None  # which cuts batches itself


def _keras(model: ModelSource, example: Mapping[str, Array]) -> tuple[Predict, int | None]:
    from toolkit.models.keras import load

    loaded = load(model, example)

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {name: np.asarray(value) for name, value in loaded.call(inputs).items()}

    return run, loaded.batch


def _torch(model: ModelSource) -> tuple[Predict, int | None]:
    import torch

    from toolkit.models.torch import load

    loaded = load(model)

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        tensors = {n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in inputs.items()}
        with torch.inference_mode():
            outputs = loaded.call(tensors)
        return {name: value.numpy() for name, value in outputs.items()}

    return run, loaded.batch


def _file(model: ModelSource) -> Predict:
    from edge.runtime import load

    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / next(iter(model.files))
    path.write_bytes(model.content)
    try:
        loaded = load(path)
    except EdgeError as error:
        raise UsageError(str(error).replace(f"{folder.name}/", "")) from error
    finally:
        folder.cleanup()
    return loaded.predict
