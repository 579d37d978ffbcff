"""The trained Keras model of a job."""

import tempfile
from pathlib import Path
from typing import Any

from toolkit.export.job import ExportJob


def trained_model(job: ExportJob) -> Any:
    """Build the recipe's Keras model and load the trained weights; no code from the file runs."""
    recipe = job.recipe()
    assert recipe.keras is not None
    model = recipe.keras()
    if not model.built:
        call(model, job.example(1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(job.weights)
        model.load_weights(path)
    return model


def call(model: Any, inputs: dict[str, Any]) -> Any:
    """The model's outputs in inference mode, for the only input or for several by name."""
    only = next(iter(inputs.values()))
    return model(only if len(inputs) == 1 else inputs, training=False)
