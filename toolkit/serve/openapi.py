"""The OpenAPI document of a server: every address, each model's own shapes, and real samples."""

from collections.abc import Sequence
from typing import Any

from toolkit import __version__
from toolkit.serve import openapi_bodies as bodies
from toolkit.serve import tfserving_examples
from toolkit.serve.errors import RequestError
from toolkit.serve.repository import Repository
from toolkit.serve.settings import Settings
from toolkit.serve.version import Version

_JSON = "application/json"
_TF, _OIP, _PEOPLE = "TensorFlow Serving", "Open Inference Protocol", "models"
_ERRORS = {
    400: "the request is wrong: says which input, what was expected and what came",
    401: "a token is needed",
    403: "asked by a name of another host",
    404: "no such model, version or label",
    405: "another method is needed",
    408: "the body took too long",
    413: "the body is over the limit",
    415: "the body is of another type, or packed in another way",
    429: "too many requests wait; Retry-After says when to come back",
    500: "the model failed",
    503: "the model is not loaded",
    504: "the answer would come too late",
}


def openapi(repository: Repository, settings: Settings) -> dict[str, Any]:
    """OpenAPI 3.1: health, models and metrics, then each model in both protocols.

    Versions that answer have their own addresses beside those of the model.
    """
    paths: dict[str, Any] = {}
    for path in ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"):
        paths[path] = _get("health", "Whether the server lives, or is ready.")
    paths["/metrics"] = _get("health", "Counts and times for Prometheus.", "text/plain")
    paths["/v2"] = _get(_OIP, "What the server speaks.")
    paths["/api/models"] = _get(_PEOPLE, "All models and their proofs.")
    for served in repository.served():
        version = served.version
        name, numbered = version.name, f"{version.name}/versions/{version.number}"
        if f"/v2/models/{name}" not in paths:  # the newest is the first
            paths |= _model(name, version)
            paths[f"/api/models/{name}/try"] = _post(
                _PEOPLE,
                "Predict, answered with labels. The only input may also be a file: an image, .npy, "
                "CSV, WAV or text, by its Content-Type.",
                bodies.attempt(version),
            )
        paths |= _model(numbered, version)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "toolkit serve",
            "version": __version__,
            "description": "Proven models, in TensorFlow Serving's REST interface and in the Open "
            "Inference Protocol, version 2. A label stands in place of a version as in "
            "/v1/models/NAME/labels/LABEL:predict.",
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


def _model(place: str, version: Version) -> dict[str, Any]:
    """The addresses of a model, or of one version where `place` says NAME/versions/NUMBER."""
    tf, oip = f"/v1/models/{place}", f"/v2/models/{place}"
    paths = {f"{tf}:predict": _post(_TF, "Predict.", bodies.predict(version))}
    for verb, check, summary in (
        ("classify", tfserving_examples.need_classes, "Label and score of every class."),
        ("regress", tfserving_examples.need_value, "One value a sample."),
    ):
        if _is_offered(check, version):
            paths[f"{tf}:{verb}"] = _post(_TF, summary, bodies.examples(version))
    return paths | {
        tf: _get(_TF, "States of the versions."),
        f"{tf}/metadata": _get(_TF, "Inputs and outputs."),
        f"{oip}/infer": _post(_OIP, "Infer.", bodies.infer(version)),
        oip: _get(_OIP, "Inputs and outputs."),
        f"{oip}/ready": _get(_OIP, "Whether it answers."),
    }


def _is_offered(check: Any, version: Version) -> bool:
    try:
        check(version)
    except RequestError:
        return False
    return True


def _get(tag: str, summary: str, kind: str = _JSON) -> dict[str, Any]:
    return {"get": _operation(tag, summary, (), kind)}


def _post(tag: str, summary: str, body: bodies.Body) -> dict[str, Any]:
    content = {"schema": body.schema}
    if body.example is not None:
        content["example"] = body.example
    asked = {"requestBody": {"required": True, "content": {_JSON: content}}}
    return {"post": _operation(tag, summary, (400, 408, 413, 415, 504)) | asked}


def _operation(tag: str, summary: str, errors: Sequence[int], kind: str = _JSON) -> dict[str, Any]:
    problem = {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    answer = {"type": "object" if kind == _JSON else "string"}
    found = {"200": {"description": "the answer", "content": {kind: {"schema": answer}}}}
    for status in sorted({*errors, 401, 403, 404, 405, 429, 500, 503}):
        found[str(status)] = {"description": _ERRORS[status], "content": problem}
    return {"tags": [tag], "summary": summary, "responses": found}
