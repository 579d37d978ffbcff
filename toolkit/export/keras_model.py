"""The trained Keras model of a job."""

import tempfile
from pathlib import Path
from typing import Any

from toolkit.builders import keras_model
from toolkit.export.job import ExportJob


def trained_model(job: ExportJob) -> Any:
    """Build the recipe's Keras model and load the trained weights; no code from the file runs."""
    model = keras_model(job.recipe(), job.example(1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(job.weights)
        model.load_weights(path)
    return model
