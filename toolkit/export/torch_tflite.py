"""torch -> TFLite with litert_torch. Its import must precede anything of TensorFlow."""

from pathlib import Path
from tempfile import TemporaryDirectory

from edge.manifest_tflite import append_to_tflite
from toolkit.errors import ConversionError
from toolkit.export.job import Conversion, ExportJob
from toolkit.export.names import as_stored, name_tflite
from toolkit.export.torch_model import examples, prepare

_NOTE = "takes one sample at a time: litert_torch fixes the batch size; --batch N fixes another"


def convert(job: ExportJob) -> Conversion:
    """Return the content of a .tflite file of a fixed batch size, one without another wish.

    Raises:
        ConversionError: the model has an operator that litert_torch cannot convert.
    """
    import litert_torch

    module, fixed = prepare(job)
    batch = fixed or 1  # flatten and view fail to convert with a free one
    try:
        converted = litert_torch.convert(module, examples(job, batch))
    except ConversionError:
        raise
    except Exception as error:
        text = str(error).strip() or type(error).__name__
        raise ConversionError(
            f"litert_torch failed: {text.splitlines()[0][:300]}; write that part of forward with "
            "other operations",
            detail=text[:4000],
        ) from error
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        converted.export(str(path))
        model = path.read_bytes()
    manifest = as_stored(model, job.manifest_for(batch))
    content = append_to_tflite(name_tflite(model, manifest), manifest)
    return Conversion({"": content}, batch, "" if fixed else _NOTE)
