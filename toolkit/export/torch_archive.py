"""torch -> .mar, TorchServe's model archive: a zip file of a program, a handler and the manifest.

The same model gives the same bytes as far as torch.export's own do: members are stored, in order,
without the time of day.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from importlib import resources

from edge.manifest import MEMBER
from toolkit.export.job import Conversion, ExportJob
from toolkit.export.torch_program import convert as program_of
from toolkit.zipapp import edge_zipapp

PROGRAM = "model.pt2"
_HANDLER, _CONFIG = "torchserve_handler.py", "model-config.yaml"
_CREATED, _AS = "01/01/1980 00:00:00", "0.12.0"  # as zip archives date their members
_BATCH, _DELAY_MS, _WORKERS, _SECONDS = 8, 5, 4, 60


def convert(job: ExportJob) -> Conversion:
    """Return the content of a .mar file.

    Raises:
        ConversionError: the model cannot be traced.
    """
    made = program_of(job)
    manifest = job.manifest_for(made.batch)
    handler = resources.files("toolkit.export").joinpath(_HANDLER).read_bytes()
    members = {
        "MAR-INF/MANIFEST.json": _archive_manifest(manifest.name).encode(),
        PROGRAM: made.files[""],
        MEMBER: manifest.to_json().encode(),
        "edge.pyz": edge_zipapp(),
        _HANDLER: handler,
        _CONFIG: _config(made.batch).encode(),
    }
    return Conversion({"": _packed(members)}, made.batch)


def _archive_manifest(name: str) -> str:
    """As torch-model-archiver writes it; TorchServe warns where `createdOn` is missing."""
    model = {
        "modelName": name,
        "serializedFile": PROGRAM,
        "handler": _HANDLER,
        "modelVersion": "1.0",
        "configFile": _CONFIG,
    }
    told = {"createdOn": _CREATED, "runtime": "python", "model": model, "archiverVersion": _AS}
    return json.dumps(told, indent=2)


def _config(batch: int | None) -> str:
    """Workers, and how many requests TorchServe hands over together."""
    return (
        f"minWorkers: 1\nmaxWorkers: {_WORKERS}\n"
        f"batchSize: {batch or _BATCH}\nmaxBatchDelay: {_DELAY_MS}\nresponseTimeout: {_SECONDS}\n"
    )


def _packed(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)  # its time is 1980-01-01
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()
