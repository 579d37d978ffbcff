"""What a converter is given and gives: values that can be sent to another process or machine."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge.manifest import Manifest
from edge.tensor import Tensor
from toolkit.artifacts import DEFAULT_OPSET
from toolkit.errors import ConversionError, UsageError
from toolkit.models.source import ModelSource
from toolkit.recipe import Array

_FREE = 7  # example entries of a free axis: neither 0 nor 1, which tracers take for constants


@dataclass(frozen=True)
class ExportJob:
    """One conversion to fp32.

    Attributes:
        model: the model.
        target: 'tflite', 'onnx', 'savedmodel' (Keras), 'pt2' or 'torchserve' (torch).
        manifest: names, shapes and dtypes of the file's inputs and outputs; goes into the file.
        opset: ONNX operator set.
        batch: fixed batch size, or None for any, where the converter can.
        permute: by input, the axes that turn a sample of the model into a sample of the file:
            `file_sample = model_sample.transpose(axes)`. The manifest has the file's shape.
        samples: a few of the file's inputs by name, each [n, ...], to warm a server up with; empty
            for none.
    """

    model: ModelSource
    target: str
    manifest: Manifest
    opset: int = DEFAULT_OPSET
    batch: int | None = None
    permute: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    samples: Mapping[str, Array] = field(default_factory=dict)

    def restored(self, name: str) -> tuple[int, ...] | None:
        """Axes, the batch among them, that turn an input of the file into the model's."""
        if name not in self.permute:
            return None
        return (0, *(int(axis) + 1 for axis in np.argsort(self.permute[name])))

    def example(self, batch: int) -> dict[str, Array]:
        """Zeros of the file's inputs, each [batch, ...]."""
        return {
            tensor.name: np.zeros(
                [batch, *(size or _FREE for size in tensor.shape[1:])], tensor.dtype
            )
            for tensor in self.manifest.inputs
        }

    def model_example(self, batch: int) -> dict[str, Array]:
        """Zeros of the model's own inputs, each [batch, ...]."""
        return {
            name: array if (axes := self.restored(name)) is None else array.transpose(axes)
            for name, array in self.example(batch).items()
        }

    def batch_for(self, own: int | None) -> int | None:
        """The file's fixed batch size, or None.

        Args:
            own: the one that the model itself fixes, or None.

        Raises:
            UsageError: the job wants another one.
        """
        if own and self.batch and own != self.batch:
            raise UsageError(
                f"the model takes batches of {own} only; leave out --batch {self.batch}"
            )
        return self.batch or own

    def checked(self, outputs: dict[str, Any]) -> dict[str, Any]:
        """The model's outputs, if they are the manifest's.

        Raises:
            ConversionError: names differ.
        """
        wanted = [tensor.name for tensor in self.manifest.outputs]
        if set(outputs) != set(wanted):
            raise ConversionError(
                f"the model answers {', '.join(outputs)}, but its samples were recorded with "
                f"{', '.join(wanted)}; train or adopt it again"
            )
        return outputs

    def manifest_for(self, batch: int | None) -> Manifest:
        """The manifest with another batch size."""

        def fixed(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(
                dataclasses.replace(tensor, shape=(batch, *tensor.shape[1:]))
                if tensor.shape
                else tensor
                for tensor in tensors
            )

        return dataclasses.replace(
            self.manifest, inputs=fixed(self.manifest.inputs), outputs=fixed(self.manifest.outputs)
        )


@dataclass(frozen=True)
class Conversion:
    """What a converter made.

    Attributes:
        files: content by relative name; a single file's name is ''.
        batch: the fixed batch size, or None where any batch is taken.
        note: what a user should know about it, or ''.
    """

    files: Mapping[str, bytes]
    batch: int | None = None
    note: str = ""
