"""The trained torch module of a job."""

from typing import Any

from toolkit.builders import torch_model
from toolkit.export.job import ExportJob


def trained_model(job: ExportJob) -> Any:
    """Build the recipe's module and load the trained state; safetensors hold no code."""
    from safetensors.torch import load

    model = torch_model(job.recipe())
    model.load_state_dict(load(job.weights))
    return model.eval()


def example_tensors(job: ExportJob, batch: int) -> tuple[Any, ...]:
    """Positional example inputs, each [batch, ...]."""
    import torch

    return tuple(torch.from_numpy(array) for array in job.example(batch).values())
