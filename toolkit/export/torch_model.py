"""The torch module of a job: the file's inputs in their order, the manifest's outputs in theirs."""

import re
from typing import Any

from toolkit.errors import ConversionError
from toolkit.export.job import ExportJob
from toolkit.models.torch import Loaded, load

_TRACED = 2  # samples in a trace with a free batch; one would be taken for a constant


def prepare(job: ExportJob) -> tuple[Any, int | None]:
    """A module from positional inputs to a tuple of outputs, and the fixed batch size or None."""
    loaded = load(job.model)
    return _positional(job, loaded), job.batch_for(loaded.batch)


def _positional(job: ExportJob, loaded: Loaded) -> Any:
    import torch

    names = [tensor.name for tensor in job.manifest.inputs]
    wanted = [tensor.name for tensor in job.manifest.outputs]

    class Positional(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.model = loaded.module
            self.training = False  # not by eval(), which a .pt2 program refuses

        def forward(self, *tensors: Any) -> tuple[Any, ...]:
            inputs = dict(zip(names, tensors, strict=True))
            for name in job.permute:
                inputs[name] = inputs[name].permute(job.restored(name))
            outputs = job.checked(loaded.call(inputs))
            return tuple(outputs[name] for name in wanted)

    return Positional()


def examples(job: ExportJob, batch: int) -> tuple[Any, ...]:
    """Positional example inputs, each [batch, ...]."""
    import torch

    return tuple(torch.from_numpy(array) for array in job.example(batch).values())


def program_of(job: ExportJob) -> tuple[Any, int | None]:
    """The model as a torch.export program, and its fixed batch size or None.

    Raises:
        ConversionError: the model cannot be traced, or only for one size of a free axis.
    """
    import torch

    module, batch = prepare(job)
    free = torch.export.Dim.DYNAMIC
    shapes = tuple(
        {
            axis: free
            for axis, size in enumerate((batch, *tensor.shape[1:]))
            if size is None and tensor.shape
        }
        for tensor in job.manifest.inputs
    )
    try:
        with torch.no_grad():
            program = torch.export.export(
                module, examples(job, batch or _TRACED), dynamic_shapes=(shapes,), strict=False
            )
    except ConversionError:
        raise
    except Exception as error:
        raise _explained(job, error) from error
    return program, batch


def _explained(job: ExportJob, error: Exception) -> ConversionError:
    text = str(error).strip() or type(error).__name__
    place = re.search(r"\['tensors'\]\[(\d+)\]\.size\(\)\[(\d+)\].*constant \((\d+)\)", text)
    if place:
        index, axis, size = map(int, place.groups())
        return ConversionError(
            f"the model works only where axis {axis} of input {job.manifest.inputs[index].name!r} "
            f"has the size {size}; take sizes from x.shape in forward, or fix the batch size with "
            "--batch",
            detail=text[:4000],
        )
    return ConversionError(
        f"torch.export cannot trace the model: {text.splitlines()[0][:300]}; take sizes from "
        "x.shape in forward and leave out branches that depend on values, or fix the batch size "
        "with --batch",
        detail=text[:4000],
    )
