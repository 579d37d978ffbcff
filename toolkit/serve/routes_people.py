"""What people and their tools ask for: pages, the models, a form to try one, OpenAPI, metrics."""

from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.errors import EdgeError, InputError
from edge.present import as_json
from edge.raw import CONTENT_TYPES, from_content, from_json
from toolkit.serve.describe import describe
from toolkit.serve.errors import FailedError, RequestError, UnavailableError
from toolkit.serve.gateway import Gateway
from toolkit.serve.json_in import parse
from toolkit.serve.metrics import CONTENT_TYPE
from toolkit.serve.openapi import openapi
from toolkit.serve.pages import PAGES, POLICY, content, content_type
from toolkit.serve.reply import Reply, json_response
from toolkit.serve.tfserving import Call
from toolkit.serve.version import Array, Version


def routes(gateway: Gateway) -> list[Route]:
    """The page and its data, health, metrics and OpenAPI."""

    async def live(_: Request) -> Reply:
        return json_response({"live": True})

    async def ready(_: Request) -> Reply:
        if not gateway.repository.ready:
            raise UnavailableError("not ready: a model is loading, or the server stops")
        return json_response({"ready": True})

    async def models(request: Request) -> Reply:
        wanted = request.query_params.get("examples") != "0"
        found = describe(gateway.repository, gateway.metrics, examples=wanted)
        return json_response({"models": found})

    async def attempt(request: Request) -> Reply:
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
        read = partial(_read, kind, gateway.settings.limits.depth)
        return await gateway.answer(request, "try", read, _write)

    async def metrics(_: Request) -> Response:
        return Response(gateway.metrics.text(gateway.repository), media_type=CONTENT_TYPE)

    async def schema(_: Request) -> Reply:
        return json_response(openapi(gateway.repository, gateway.settings))

    health = [(path, live) for path in ("/health/live", "/v2/health/live")]
    health += [(path, ready) for path in ("/health/ready", "/v2/health/ready")]
    return [
        *(Route(path, endpoint) for path, endpoint in health),
        *(Route(path, partial(_file, name)) for path, name in PAGES.items()),
        Route("/api/models", models),
        Route("/api/models/{model:name}/try", attempt, methods=["POST"]),
        Route("/metrics", metrics),
        Route("/openapi.json", schema),
    ]


async def _file(name: str, _: Request) -> Response:
    headers = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}
    return Response(content(name), media_type=content_type(name), headers=headers)


def _read(kind: str, depth: int, body: bytes, version: Version) -> Call:
    """A JSON object {"inputs": ...}, or the bytes of a file for the only input."""
    try:
        if kind == "application/json":
            value = parse(body, depth)
            if not isinstance(value, dict) or set(value) != {"inputs"}:
                raise RequestError('expected a JSON object {"inputs": VALUE or {NAME: VALUE}}')
            return Call(from_json(version.model, value["inputs"]))
        if kind not in CONTENT_TYPES:
            known = ", ".join(("application/json", *CONTENT_TYPES))
            raise RequestError(f"Content-Type {kind[:100]!r} is none of {known}", status=415)
        return Call(from_content(version.model, body, CONTENT_TYPES[kind]))
    except InputError as error:
        raise RequestError(str(error)) from error


def _write(outputs: dict[str, Array], _: Any, version: Version) -> Reply:
    try:
        answers = as_json(version.interpret(outputs))
    except EdgeError as error:
        raise FailedError("the model's answer cannot be read; the log says why") from error
    return json_response(answers)
