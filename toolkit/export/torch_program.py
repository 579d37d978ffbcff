"""torch -> .pt2, a torch.export program with the manifest in it."""

import io

from edge.manifest import MEMBER
from toolkit.export.job import Conversion, ExportJob
from toolkit.export.torch_model import program_of


def convert(job: ExportJob) -> Conversion:
    """Return the content of a .pt2 file; `torch.export.load` reads it without the model's code.

    Raises:
        ConversionError: the model cannot be traced.
    """
    import torch

    buffer = io.BytesIO()
    program, batch = program_of(job)
    torch.export.save(program, buffer, extra_files={MEMBER: job.manifest_for(batch).to_json()})
    return Conversion({"": buffer.getvalue()}, batch)
