"""torch -> ONNX with torch.onnx's exporter on torch.export."""

from toolkit.export.job import ExportJob
from toolkit.export.names import name_onnx
from toolkit.export.torch_model import example_tensors, trained_model


def convert(job: ExportJob) -> bytes:
    """Return the content of an .onnx file that takes any batch size."""
    import torch

    examples = example_tensors(job, batch=2)  # a batch of one would be taken for a constant
    program = torch.onnx.export(
        trained_model(job),
        examples,
        dynamo=True,
        dynamic_shapes=tuple({0: "batch"} for _ in examples),
        input_names=[tensor.name for tensor in job.manifest.inputs],
        output_names=[tensor.name for tensor in job.manifest.outputs],
        opset_version=job.opset,
        external_data=False,
        verbose=False,
    )
    return name_onnx(program.model_proto, job.manifest)
