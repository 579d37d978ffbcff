"""What a converter is given: a value that can be sent to another process or machine."""

from dataclasses import dataclass

import numpy as np

from edge.manifest import Manifest
from toolkit.recipe import Array, Recipe
from toolkit.source import RecipeSource

TARGETS = ("tflite", "onnx")
DEFAULT_OPSET = 18


@dataclass(frozen=True)
class ExportJob:
    """One conversion.

    Attributes:
        source: the recipe, whose builder makes the model.
        framework: 'tf' or 'torch'.
        target: 'tflite' or 'onnx'.
        weights: the trained model file's content, .keras or .safetensors.
        manifest: names, shapes and dtypes of inputs and outputs; goes into the file.
        opset: ONNX operator set.
    """

    source: RecipeSource
    framework: str
    target: str
    weights: bytes
    manifest: Manifest
    opset: int = DEFAULT_OPSET

    def recipe(self) -> Recipe:
        """Load the recipe in this process."""
        return self.source.load()

    def example(self, batch: int) -> dict[str, Array]:
        """Zeros of the inputs' shapes, each [batch, ...]."""
        return {
            tensor.name: np.zeros([batch, *(size or 1 for size in tensor.shape[1:])], tensor.dtype)
            for tensor in self.manifest.inputs
        }


def convert(job: ExportJob) -> bytes:
    """Convert in this process, which must hold no other framework; the one place of choice."""
    match job.framework, job.target:
        case "tf", "tflite":
            from toolkit.export.keras_tflite import convert as converter
        case "tf", "onnx":
            from toolkit.export.keras_onnx import convert as converter
        case "torch", "tflite":
            from toolkit.export.torch_tflite import convert as converter
        case "torch", "onnx":
            from toolkit.export.torch_onnx import convert as converter
        case _:
            raise ValueError(f"no converter from {job.framework} to {job.target}")
    return converter(job)
