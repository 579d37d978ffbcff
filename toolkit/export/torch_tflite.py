"""torch -> TFLite with litert_torch. Its import must precede anything of TensorFlow."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edge.manifest_tflite import append_to_tflite
from toolkit.errors import ConversionError
from toolkit.export.job import Conversion, ExportJob
from toolkit.export.names import as_stored, name_tflite
from toolkit.export.quantise_flatbuffer import pack, parse, text
from toolkit.export.tflite_lookups import gather_lookups
from toolkit.export.torch_model import examples, prepare

_NOTE = "takes one sample at a time: litert_torch fixes the batch size; --batch N fixes another"
_ORIGIN = re.compile(r"(?<![^/;])(?:[a-z_<][\w<>]*\.)+(?=[A-Z])")  # of a class: its packages


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
        words = str(error).strip() or type(error).__name__
        raise ConversionError(
            f"litert_torch failed: {words.splitlines()[0][:300]}; write that part of forward with "
            "other operations",
            detail=words[:4000],
        ) from error
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        converted.export(str(path))
        tree = parse(path.read_bytes())
    gather_lookups(tree)
    _shorten_names(tree, type(module))
    model = pack(tree)
    manifest = as_stored(model, job.manifest_for(batch))
    content = append_to_tflite(name_tflite(model, manifest), manifest)
    return Conversion({"": content}, batch, "" if fixed else _NOTE)


def _shorten_names(tree: Any, outermost: type) -> None:
    """Name tensors 'Net_model/Linear_head;1'; litert_torch tells where each class is from as well.

    Of a small LSTM, which is unrolled, that was half of the file.
    """
    whole = f"{outermost.__module__}.{outermost.__qualname__}/"
    for graph in tree.subgraphs:
        names = [text(tensor.name) for tensor in graph.tensors]
        short = [_ORIGIN.sub("", name.replace(whole, "")) for name in names]
        if len(set(short)) == len(set(names)):
            for tensor, name in zip(graph.tensors, short, strict=True):
                tensor.name = name
