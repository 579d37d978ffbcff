"""The Open Inference Protocol over gRPC, in the same event loop as the REST addresses.

Each call is passed to the application as the REST request that means the same (grpc_messages.py):
models, queues, token, limits, log and metrics are those of all others. Statuses become gRPC's:

    400 INVALID_ARGUMENT    401 UNAUTHENTICATED      403 PERMISSION_DENIED   404 NOT_FOUND
    408, 504 DEADLINE_EXCEEDED    413, 429 RESOURCE_EXHAUSTED    503 UNAVAILABLE    500 INTERNAL

It needs the packages of the extra `serve-grpc`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from toolkit.errors import UsageError
from toolkit.serve.errors import RequestError
from toolkit.serve.grpc_messages import body_of, fill, fill_response, path_of
from toolkit.serve.guard import App, Message, Scope

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_KEPT = frozenset(("authorization", "x-request-id", "traceparent", "tracestate"))
"""Metadata that count as the headers of the same name."""
_JSON_LENGTH = "inference-header-content-length"
_FRAME = 1 << 20  # beside the tensors; what is over the limit itself is refused in our own words


@dataclass
class _Answer:
    """What the application sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    async def send(self, message: Message) -> None:
        """As ASGI has it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode("latin-1") for k, v in message["headers"]}
        else:
            self.body += message.get("body", b"")


class Service:
    """Health, metadata and inference; what else Triton has is UNIMPLEMENTED.

    Args:
        app: the guarded application.
        grpc: the package.
        messages: the module of the protocol's messages.
    """

    def __init__(self, app: App, grpc: Any, messages: Any) -> None:
        self._app, self._grpc, self._messages = app, grpc, messages

    def handlers(self) -> Any:
        """What a server of gRPC takes."""
        methods = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._metadata,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._infer,
        }
        made = {
            name: self._grpc.unary_unary_rpc_method_handler(
                method,
                getattr(self._messages, f"{name}Request").FromString,
                getattr(self._messages, f"{name}Response").SerializeToString,
            )
            for name, method in methods.items()
        }
        return self._grpc.method_handlers_generic_handler("inference.GRPCInferenceService", made)

    async def _live(self, _: Any, context: Any) -> Any:
        answer = await self._get("/v2/health/live", context)
        return self._messages.ServerLiveResponse(live=answer.status == 200)

    async def _ready(self, _: Any, context: Any) -> Any:
        answer = await self._get("/v2/health/ready", context, 503)
        return self._messages.ServerReadyResponse(ready=answer.status == 200)

    async def _model_ready(self, request: Any, context: Any) -> Any:
        path = await self._path(context, request.name, request.version)
        answer = await self._get(f"{path}/ready", context, 503)
        return self._messages.ModelReadyResponse(ready=answer.status == 200)

    async def _metadata(self, _: Any, context: Any) -> Any:
        response = self._messages.ServerMetadataResponse()
        fill(response, (await self._get("/v2", context)).body)
        return response

    async def _model_metadata(self, request: Any, context: Any) -> Any:
        path = await self._path(context, request.name, request.version)
        response = self._messages.ModelMetadataResponse()
        fill(response, (await self._get(path, context)).body)
        return response

    async def _infer(self, request: Any, context: Any) -> Any:
        path = await self._path(context, request.model_name, request.model_version)
        scope = _scope("POST", f"{path}/infer", context)

        async def receive() -> Message:
            """Converted only when it is read: after token and limits."""
            body, length = body_of(request)
            scope["state"]["headers"][_JSON_LENGTH.encode()] = b"%d" % length
            return {"type": "http.request", "body": body, "more_body": False}

        answer = await self._ask(scope, receive, context)
        response = self._messages.ModelInferResponse()
        fill_response(response, answer.body, int(answer.headers[_JSON_LENGTH]))
        return response

    async def _get(self, path: str, context: Any, *good: int) -> _Answer:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        return await self._ask(_scope("GET", path, context), receive, context, *good)

    async def _ask(
        self, scope: Scope, receive: Callable[[], Any], context: Any, *good: int
    ) -> _Answer:
        """The application's answer; another status than 200 or `good` ends the call with an error.

        A client that goes away, or whose deadline passes, cancels this.
        """
        answer = _Answer()
        await self._app(scope, receive, answer.send)
        if answer.status != 200 and answer.status not in good:
            await self._abort(context, answer.status, json.loads(answer.body)["error"])
        return answer

    async def _path(self, context: Any, model: str, version: str) -> str:
        try:
            return path_of(model, version)
        except RequestError as error:
            await self._abort(context, error.status, str(error))
            raise

    async def _abort(self, context: Any, status: int, text: str) -> None:
        await context.abort(self._grpc.StatusCode[_CODES.get(status, "INTERNAL")], text)


def _scope(method: str, path: str, context: Any) -> Scope:
    """A call as ASGI describes a request; without Host, since no web page can make one."""
    headers = [
        (name.encode(), value.encode() if isinstance(value, str) else value)
        for name, value in context.invocation_metadata()
        if name in _KEPT
    ]
    client = unquote(context.peer()).partition(":")[2].rpartition(":")[0].strip("[]")
    return {
        "type": "http",
        "http_version": "2",
        "method": method,
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": (client, 0),
    }


def listening(
    app: App, place: tuple[str, int], tls: tuple[Path | None, Path | None], most: int
) -> tuple[Any, int]:
    """A server that is bound and not started yet, and its port; call it in the event loop.

    Args:
        app: the guarded application.
        place: host and port; port 0 takes a free one.
        tls: PEM files of the certificate and its key, or None.
        most: bytes of a message.

    Raises:
        UsageError: the address cannot be used, or a package is missing.
    """
    try:
        import grpc
        import grpc.aio
        from tritonclient.grpc import service_pb2
    except (ImportError, RuntimeError) as error:  # tritonclient's own where it misses another
        raise UsageError(
            f"--grpc-port: {error}\npip install 'edge-deployment-toolkit[serve-grpc]'"
        ) from error
    host, port = place
    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", most + _FRAME)]
    server = grpc.aio.server(options=[*options, ("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers((Service(app, grpc, service_pb2).handlers(),))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if tls[0] is None:
            bound = server.add_insecure_port(address)
        else:
            pair = (tls[1] or tls[0]).read_bytes(), tls[0].read_bytes()
            bound = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    except RuntimeError:
        bound = 0
    if not bound:
        raise UsageError(
            f"--host {host} --grpc-port {port}: cannot be listened on; is another server running?"
        )
    return server, bound
