"""Which converter makes which file: the one place of choice."""

from toolkit.export.job import Conversion, ExportJob


def convert(job: ExportJob) -> Conversion:
    """Convert in this process, which must hold no other framework.

    Raises:
        UsageError: the model cannot be read.
        ConversionError: it cannot be converted; says what to change.
    """
    match job.model.framework, job.target:
        case "tf", "tflite":
            from toolkit.export.keras_tflite import convert as converter
        case "tf", "onnx":
            from toolkit.export.keras_onnx import convert as converter
        case "tf", "savedmodel":
            from toolkit.export.keras_savedmodel import convert as converter
        case "torch", "tflite":
            from toolkit.export.torch_tflite import convert as converter
        case "torch", "onnx":
            from toolkit.export.torch_onnx import convert as converter
        case "torch", "pt2":
            from toolkit.export.torch_program import convert as converter
        case "torch", "torchserve":
            from toolkit.export.torch_archive import convert as converter
        case _:
            raise ValueError(f"no converter from {job.model.framework} to {job.target}")
    return converter(job)
