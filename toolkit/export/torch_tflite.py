"""torch -> TFLite with litert_torch. Its import must precede anything of TensorFlow."""

from pathlib import Path
from tempfile import TemporaryDirectory

from edge.manifest import append_to_tflite
from toolkit.export.job import ExportJob
from toolkit.export.names import name_tflite
from toolkit.export.torch_model import example_tensors, trained_model

BATCH = 1  # flatten and view fail to convert with a dynamic batch


def convert(job: ExportJob) -> bytes:
    """Return the content of a .tflite file that takes one sample at a time."""
    import litert_torch

    converted = litert_torch.convert(trained_model(job), example_tensors(job, BATCH))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        converted.export(str(path))
        model = path.read_bytes()
    return append_to_tflite(name_tflite(model, job.manifest), job.manifest)
