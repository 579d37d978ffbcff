"""Bodies of requests for the OpenAPI document: schemas of a model's shapes, and real samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.serve.describe import example
from toolkit.serve.oip_inputs import DATATYPES
from toolkit.serve.version import Spec, Version

Schema = dict[str, Any]


@dataclass(frozen=True)
class Body:
    """A schema and a right example; None where no sample of the model is known."""

    schema: Schema
    example: Any


def predict(version: Version) -> Body:
    """Of `:predict`: 'inputs' by column, or 'instances' by row."""
    forms: list[Schema] = []
    for key, whole in (("inputs", _columns(version)), ("instances", _rows(version))):
        properties = {"signature_name": {"enum": ["serving_default", None]}, key: whole}
        forms.append({"type": "object", "required": [key], "properties": properties})
    known = example(version)
    column = {"signature_name": "serving_default", "inputs": known}
    return Body({"oneOf": forms}, None if known is None else column)


def examples(version: Version) -> Body:
    """Of `:classify` and `:regress`."""
    properties = {"examples": _rows(version)}
    known = example(version)
    row = None if known is None else {name: array[0] for name, array in known.items()}
    return Body(
        {"type": "object", "required": ["examples"], "properties": properties},
        None if known is None else {"examples": [row]},
    )


def attempt(version: Version) -> Body:
    """Of `/try`, which takes what people type: one sample without its batch axis, too."""
    known = example(version)
    schema = _object({"inputs": {"description": "a value, or an object of values by input name"}})
    return Body(schema, None if known is None else {"inputs": known})


def infer(version: Version) -> Body:
    """Of `/infer`, all in JSON."""
    tensors = [
        {
            "type": "object",
            "required": ["name", "shape", "datatype", "data"],
            "properties": {
                "name": {"const": spec.name},
                "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
                "datatype": {"const": DATATYPES[spec.dtype]},
                "data": {"type": "array"},
            },
        }
        for spec in version.inputs
    ]
    inputs = {"type": "array", "prefixItems": tensors, "minItems": len(tensors)}
    schema = {
        "type": "object",
        "required": ["inputs"],
        "properties": {"id": {"type": "string"}, "inputs": inputs},
    }
    known = example(version)
    return Body(schema, None if known is None else _infer_example(version, known))


def _infer_example(version: Version, known: dict[str, Any]) -> dict[str, Any]:
    tensors = []
    for spec in version.inputs:
        array = np.asarray(known[spec.name])
        row: dict[str, Any] = {"name": spec.name, "shape": list(array.shape)}
        tensors.append(row | {"datatype": DATATYPES[spec.dtype], "data": array.ravel()})
    return {"id": "1", "inputs": tensors}


def _columns(version: Version) -> Schema:
    """A value for each input, all samples in it."""
    return _object({spec.name: _nested(spec.shape, spec) for spec in version.inputs})


def _rows(version: Version) -> Schema:
    """A list of samples, each an object of values by input."""
    row = _object({spec.name: _nested(spec.shape[1:], spec) for spec in version.inputs})
    return {"type": "array", "items": row, "minItems": 1}


def _object(properties: dict[str, Schema]) -> Schema:
    """All of them, and nothing else."""
    needed = list(properties)
    made = {"type": "object", "required": needed, "properties": properties}
    return made | {"additionalProperties": False}


def _nested(shape: Sequence[int | None], spec: Spec) -> dict[str, Any]:
    """Lists in lists of the shape; None is any size."""
    if spec.dtype == "str":
        schema: dict[str, Any] = {"type": "string"}
    elif spec.dtype == "bool":
        schema = {"type": "boolean"}
    elif spec.dtype.startswith("float"):
        schema = {"type": "number"}
    else:
        limits = np.iinfo(spec.dtype)
        schema = {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}
    for size in reversed(shape):
        schema = {"type": "array", "items": schema, "minItems": size or 1}
        if size is not None:
            schema["maxItems"] = size
    return schema
