"""TensorFlow Serving's REST addresses."""

from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from toolkit.serve import tfserving
from toolkit.serve.errors import RequestError
from toolkit.serve.gateway import Gateway, Wanted
from toolkit.serve.json_in import parse
from toolkit.serve.reply import Reply, json_response
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


def routes(gateway: Gateway) -> list[Route]:
    """Predict, classify, regress, status and metadata, of models, versions and labels."""
    made = {
        verb: (partial(_read, read, gateway.settings.limits.depth), partial(_write, write))
        for verb, (read, write) in _VERBS.items()
    }

    async def ask(request: Request) -> Reply:
        verb = request.path_params["verb"]
        if verb not in made:
            raise RequestError(f"no :{verb[:50]}; there is :{', :'.join(made)}", status=404)
        return await gateway.answer(request, verb, *made[verb])

    async def status(request: Request) -> Reply:
        wanted = Wanted.of(request)
        number = wanted.version
        if wanted.label is not None:
            number = gateway.find(wanted).version.number
        states = gateway.repository.status(wanted.model, version=number)
        return json_response(tfserving.status(states))

    async def metadata(request: Request) -> Reply:
        return json_response(tfserving.metadata(gateway.find(Wanted.of(request)).version))

    return [
        *(Route(f"{address}:{{verb}}", ask, methods=["POST"]) for address in _ADDRESSES),
        *(Route(f"{address}/metadata", metadata) for address in _ADDRESSES),
        *(Route(address, status) for address in _ADDRESSES),
    ]


def _read(read: Any, depth: int, body: bytes, version: Version) -> Any:
    return read(parse(body, depth), version)


def _write(write: Any, outputs: dict[str, Array], call: Any, version: Version) -> Reply:
    return json_response(write(outputs, call, version))
