"""The Open Inference Protocol's REST addresses, version 2, as Triton and KServe have them."""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from toolkit.serve import oip
from toolkit.serve.errors import RequestError, UnavailableError, UnknownError
from toolkit.serve.gateway import Gateway, Wanted
from toolkit.serve.reply import Reply, json_response
from toolkit.serve.version import Array, Version

_JSON_LENGTH = b"inference-header-content-length"
_ADDRESSES = ("/v2/models/{model:name}", "/v2/models/{model:name}/versions/{version:number}")


def routes(gateway: Gateway) -> list[Route]:
    """Inference, metadata and health."""

    async def infer(request: Request) -> Reply:
        depth = gateway.settings.limits.depth

        def read(body: bytes, version: Version) -> Any:
            return oip.read_infer(body, _json_length(request), version, depth)

        return await gateway.answer(request, "infer", read, _write)

    async def server(_: Request) -> Reply:
        return json_response(oip.server_metadata())

    async def model(request: Request) -> Reply:
        version = gateway.find(Wanted.of(request)).version
        states = gateway.repository.status(version.name)
        numbers = [state.version for state in states if state.state == "AVAILABLE"]
        return json_response(oip.model_metadata(version, numbers))

    async def ready(request: Request) -> Reply:
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
    given = request.scope["state"]["headers"].get(_JSON_LENGTH)
    if given is None:
        return None
    text = given.decode("latin-1")
    if not text.isdecimal() or not text.isascii() or len(text) > 12:
        raise RequestError(
            f"Inference-Header-Content-Length: expected the length of the JSON, got {text[:40]!r}"
        )
    return int(text)


def _write(outputs: dict[str, Array], call: Any, version: Version) -> Reply:
    body, headers = oip.write_infer(outputs, call, version)
    return Reply(body, [(name.encode(), value.encode()) for name, value in headers.items()])
