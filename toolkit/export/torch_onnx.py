"""torch -> ONNX with torch.onnx's exporter on a torch.export program."""

from toolkit.errors import ConversionError
from toolkit.export.job import Conversion, ExportJob
from toolkit.export.names import check_opset, name_onnx
from toolkit.export.torch_model import program_of


def convert(job: ExportJob) -> Conversion:
    """Return the content of an .onnx file.

    Raises:
        ConversionError: the model cannot be traced, has an operator without a counterpart in
            ONNX, or the exporter does not write the operator set.
    """
    import torch

    program, batch = program_of(job)
    try:
        exported = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[tensor.name for tensor in job.manifest.inputs],
            output_names=[tensor.name for tensor in job.manifest.outputs],
            opset_version=job.opset,
            external_data=False,
            verbose=False,
        )
    except Exception as error:
        text = str(error).strip() or type(error).__name__
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        reason = next((line for line in lines if "No ONNX function" in line), lines[0])
        raise ConversionError(
            f"torch.onnx failed: {reason[:300]}; try another --opset, or write that part of "
            "forward with other operations",
            detail=text[:4000],
        ) from error
    model = exported.model_proto
    check_opset(model, job.opset)
    return Conversion({"": name_onnx(model, job.manifest_for(batch))}, batch)
