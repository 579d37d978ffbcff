"""What a model says about itself. Runs in this process, which holds no other framework."""

import tempfile
from pathlib import Path

from edge.errors import EdgeError
from edge.manifest import Manifest
from edge.model import Model
from edge.tensor import Tensor
from toolkit.errors import UsageError
from toolkit.models.source import ModelSource


def inputs_of(model: ModelSource) -> tuple[Tensor, ...]:
    """The inputs of a model file; axis 0 counts the samples.

    Raises:
        UsageError: the file cannot be read, or does not say what it takes.
    """
    match model.framework:
        case "tf":
            from toolkit.models.keras import load as load_keras

            inputs = load_keras(model).inputs
        case "torch":
            from toolkit.models.torch import load as load_torch

            inputs = load_torch(model).inputs
        case _:
            inputs = _opened(model).inputs
    if not inputs:
        raise UsageError("the model does not say what it takes; give --samples or --signature")
    return inputs


def manifest_of(model: ModelSource) -> Manifest | None:
    """The manifest that an .onnx or .tflite file carries, or None.

    Raises:
        UsageError: the file cannot be read.
    """
    return _opened(model).manifest


def _opened(model: ModelSource) -> Model:
    from edge.runtime import load

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / next(iter(model.files))
        path.write_bytes(model.content)
        try:
            return load(path)
        except EdgeError as error:
            raise UsageError(str(error).replace(f"{folder}/", "")) from error
