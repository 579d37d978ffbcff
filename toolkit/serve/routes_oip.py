"""The Open Inference Protocol's REST addresses, version 2, as Triton and KServe have them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from toolkit.serve import oip
from toolkit.serve.errors import RequestError, UnavailableError, UnknownError
from toolkit.serve.gateway import Gateway, Wanted, json_response
from toolkit.serve.version import Array, Version

_JSON_LENGTH = "inference-header-content-length"
_ADDRESSES = ("/v2/models/{model:name}", "/v2/models/{model:name}/versions/{version:number}")


def routes(gateway: Gateway) -> list[BaseRoute]:
    """Inference, metadata and health."""

    async def infer(request: Request) -> Response:
        length = _json_length(request)
        depth = gateway.settings.limits.depth

        def read(body: bytes, version: Version) -> Any:
            return oip.read_infer(body, length, version, depth)

        return await gateway.answer(request, "infer", read, _write)

    async def server(_: Request) -> Response:
        return json_response(oip.server_metadata())

    async def model(request: Request) -> Response:
        version = gateway.find(Wanted.of(request)).version
        states = gateway.repository.status(version.name)
        numbers = [state.version for state in states if state.state == "AVAILABLE"]
        return json_response(oip.model_metadata(version, numbers))

    async def ready(request: Request) -> Response:
        try:
            gateway.find(Wanted.of(request))
        except (UnknownError, UnavailableError) as error:
            status = 404 if isinstance(error, UnknownError) else 503
            return json_response({"ready": False, "error": str(error)}, status)
        return json_response({"ready": True})

    return [
        *(Route(f"{address}/infer", infer, methods=["POST"]) for address in _ADDRESSES),
        *(Route(f"{address}/ready", ready) for address in _ADDRESSES),
        *(Route(address, model) for address in _ADDRESSES),
        Route("/v2", server),
    ]


def _json_length(request: Request) -> int | None:
    text = request.headers.get(_JSON_LENGTH)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 12:
        raise RequestError(
            f"Inference-Header-Content-Length: expected the length of the JSON, got {text[:40]!r}"
        )
    return int(text)


def _write(outputs: dict[str, Array], call: Any, version: Version) -> Response:
    body, headers = oip.write_infer(outputs, call, version)
    return Response(body, headers=headers)
