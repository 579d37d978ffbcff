"""Keras -> SavedModel, as TensorFlow Serving takes it."""

from pathlib import Path
from tempfile import TemporaryDirectory

from toolkit.export.job import Conversion, ExportJob
from toolkit.export.keras_model import function_of, load_model
from toolkit.export.warmup import FILE, write_warmup

_EXTRA = "assets.extra"  # the folder that TensorFlow Serving leaves alone


def convert(job: ExportJob) -> Conversion:
    """Return the files of a SavedModel with manifest, labels and warm-up requests among them."""
    loaded = load_model(job)
    batch = job.batch_for(loaded.batch)
    function = function_of(job, loaded, batch)
    manifest = job.manifest_for(batch)
    with TemporaryDirectory() as folder:
        function.save(folder)
        if job.samples:
            extra = Path(folder, _EXTRA)
            extra.mkdir()
            write_warmup(extra / FILE, manifest.name, job.samples, batch)
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
        }
    files[f"{_EXTRA}/manifest.json"] = manifest.to_json().encode()
    if manifest.labels:
        files[f"{_EXTRA}/labels.txt"] = "".join(f"{x}\n" for x in manifest.labels).encode()
    return Conversion(files, batch)
