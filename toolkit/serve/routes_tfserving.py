"""TensorFlow Serving's REST addresses."""

from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from toolkit.serve import tfserving
from toolkit.serve.errors import RequestError
from toolkit.serve.gateway import Gateway, Wanted, json_response
from toolkit.serve.json_in import parse
from toolkit.serve.version import Array, Version

_VERBS = {
    "predict": (tfserving.read_predict, tfserving.write_predict),
    "classify": (tfserving.read_classify, tfserving.write_classify),
    "regress": (tfserving.read_regress, tfserving.write_regress),
}
_ADDRESSES = (
    "/v1/models/{model:name}",
    "/v1/models/{model:name}/versions/{version:number}",
    "/v1/models/{model:name}/labels/{label:name}",
)


def routes(gateway: Gateway) -> list[BaseRoute]:
    """Predict, classify, regress, status and metadata, of models, versions and labels."""

    async def ask(request: Request) -> Response:
        verb = request.path_params["verb"]
        if verb not in _VERBS:
            raise RequestError(f"no :{verb[:50]}; there is :{', :'.join(_VERBS)}", status=404)
        read, write = _VERBS[verb]
        return await gateway.answer(
            request, verb, partial(_read, read, gateway), partial(_write, write)
        )

    async def status(request: Request) -> Response:
        wanted = Wanted.of(request)
        number = wanted.version
        if wanted.label is not None:
            number = gateway.find(wanted).version.number
        states = gateway.repository.status(wanted.model, version=number)
        return json_response(tfserving.status(states))

    async def metadata(request: Request) -> Response:
        return json_response(tfserving.metadata(gateway.find(Wanted.of(request)).version))

    return [
        *(Route(f"{address}:{{verb}}", ask, methods=["POST"]) for address in _ADDRESSES),
        *(Route(f"{address}/metadata", metadata) for address in _ADDRESSES),
        *(Route(address, status) for address in _ADDRESSES),
    ]


def _read(read: Any, gateway: Gateway, body: bytes, version: Version) -> Any:
    return read(parse(body, gateway.settings.limits.depth), version)


def _write(write: Any, outputs: dict[str, Array], call: Any, version: Version) -> Response:
    return json_response(write(outputs, call, version))
