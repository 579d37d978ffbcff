"""The OpenAPI document of a server, with the models' own shapes and real samples as examples."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit import __version__
from toolkit.serve.describe import example
from toolkit.serve.oip_inputs import DATATYPES
from toolkit.serve.repository import Repository
from toolkit.serve.settings import Settings
from toolkit.serve.version import Spec, Version

_JSON = "application/json"
_ERRORS = {
    400: "the request is wrong: says which input, what was expected and what came",
    401: "a token is needed",
    403: "asked by a name of another host",
    404: "no such model, version or label",
    405: "another method is needed",
    408: "the body took too long",
    413: "the body is over the limit",
    429: "too many requests wait; Retry-After says when to come back",
    500: "the model failed",
    503: "the model is not loaded",
    504: "the answer would come too late",
}


def openapi(repository: Repository, settings: Settings) -> dict[str, Any]:
    """OpenAPI 3.1: health, then each model in both protocols."""
    paths: dict[str, Any] = {}
    for path in ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"):
        paths[path] = {
            "get": _operation("health", "Whether the server lives, or is ready.", (503,))
        }
    paths["/v2"] = {"get": _operation("Open Inference Protocol", "What the server speaks.", (401,))}
    paths["/api/models"] = {"get": _operation("models", "All models and their proofs.", (401,))}
    for served in {each.version.name: each for each in repository.served()}.values():
        paths |= _model(served.version)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "toolkit serve",
            "version": __version__,
            "description": "Proven models, in TensorFlow Serving's REST interface and in the Open "
            "Inference Protocol, version 2.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}},
                }
            }
        },
    }
    if settings.token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _model(version: Version) -> dict[str, Any]:
    name = version.name
    tf, oip = f"/v1/models/{name}", f"/v2/models/{name}"
    known: dict[str, Any] = example(version) or {}
    column: dict[str, Any] = {"signature_name": "serving_default", "inputs": known}
    paths = {
        f"{tf}:predict": {
            "post": _asked("TensorFlow Serving", "Predict.", _predict(version), column)
        },
        tf: {"get": _operation("TensorFlow Serving", "States of the versions.", (401, 404))},
        f"{tf}/metadata": {"get": _operation("TensorFlow Serving", "Inputs and outputs.", (404,))},
        f"{oip}/infer": {
            "post": _asked(
                "Open Inference Protocol", "Infer.", _infer(version), _infer_example(version, known)
            )
        },
        oip: {"get": _operation("Open Inference Protocol", "Inputs and outputs.", (404,))},
        f"{oip}/ready": {
            "get": _operation("Open Inference Protocol", "Whether it answers.", (503,))
        },
    }
    if not known:
        for path in (f"{tf}:predict", f"{oip}/infer"):
            del paths[path]["post"]["requestBody"]["content"][_JSON]["example"]
    return paths


def _operation(tag: str, summary: str, errors: Sequence[int]) -> dict[str, Any]:
    problem = {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    found = {
        "200": {"description": "the answer", "content": {_JSON: {"schema": {"type": "object"}}}}
    }
    for status in sorted({*errors, 401, 403, 404, 405, 429, 500, 503}):
        found[str(status)] = {"description": _ERRORS[status], "content": problem}
    return {"tags": [tag], "summary": summary, "responses": found}


def _asked(tag: str, summary: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    body = {"required": True, "content": {_JSON: {"schema": schema, "example": example}}}
    return _operation(tag, summary, (400, 408, 413, 504)) | {"requestBody": body}


def _predict(version: Version) -> dict[str, Any]:
    named = {spec.name: _nested(spec.shape, spec) for spec in version.inputs}
    rows = {spec.name: _nested(spec.shape[1:], spec) for spec in version.inputs}
    forms: list[dict[str, Any]] = []
    for key, values in (("inputs", named), ("instances", rows)):
        whole: dict[str, Any] = {
            "type": "object",
            "required": list(values),
            "properties": values,
            "additionalProperties": False,
        }
        if key == "instances":
            whole = {"type": "array", "items": whole, "minItems": 1}
        properties = {"signature_name": {"enum": ["serving_default", None]}, key: whole}
        forms.append({"type": "object", "required": [key], "properties": properties})
    return {"oneOf": forms}


def _infer(version: Version) -> dict[str, Any]:
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
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {"id": {"type": "string"}, "inputs": inputs},
    }


def _infer_example(version: Version, known: dict[str, Any]) -> dict[str, Any]:
    tensors = []
    for spec in version.inputs:
        array = np.asarray(known.get(spec.name, []))
        row: dict[str, Any] = {"name": spec.name, "shape": list(array.shape)}
        tensors.append(row | {"datatype": DATATYPES[spec.dtype], "data": array.ravel()})
    return {"id": "1", "inputs": tensors}


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
