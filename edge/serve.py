"""The command `serve`: a small HTTP server for programs on the same device.

    POST /predict   JSON {"inputs": VALUE or {NAME: VALUE}}, or the bytes of a file whose
                    Content-Type says what it is -> {"outputs", "answers", "labels"}
    GET  /health    {"status": "ok"}, without a token too; 503 while it stops
    GET  /info      what the model takes and answers

Errors are {"error": TEXT}. It listens on loopback unless a token is set, which clients send as
`Authorization: Bearer TOKEN`. Size, number and time of requests are limited (serve_limits.py); a
model that runs is never interrupted. Encryption is left to a proxy.
"""

from __future__ import annotations

import hmac
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import Any

from edge.answer import answer
from edge.errors import InputError
from edge.loopback import is_loopback
from edge.opening import open_model
from edge.present import as_json
from edge.raw import CONTENT_TYPES, from_content, from_json, parse_json
from edge.serve_limits import Busy, Pool, Server, TooLate

TOKEN_VARIABLE = "EDGE_TOKEN"  # noqa: S105 - where the token is, not the token
_PATHS = {"/predict": "POST", "/health": "GET", "/info": "GET"}


def serve(options: SimpleNamespace) -> int:
    """The command; ends with 0 on SIGTERM or SIGINT, when the requests at hand are answered.

    Raises InputError for an address that needs a token, and EdgeError for a wrong model.
    """
    token = options.token or os.environ.get(TOKEN_VARIABLE, "")
    if not token and not is_loopback(options.host):
        raise InputError(
            f"--host {options.host} is open to others and needs a token\n"
            f"set {TOKEN_VARIABLE}, or listen on 127.0.0.1"
        )
    pool = Pool([open_model(options) for _ in range(options.workers)], options.waiting)
    settings = SimpleNamespace(
        pool=pool,
        token=token,
        max_body=options.max_body_kb << 10,
        seconds=options.timeout,
        debug=options.debug,
    )
    try:
        server = Server((options.host, options.port), _handler(settings), pool.limit)
    except OSError as error:
        raise InputError(f"--host {options.host} --port {options.port}: {error}") from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    host, port = server.server_address[:2]
    name = f"[{host!s}]" if ":" in str(host) else str(host)
    print(f"listening on http://{name}:{port}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.finish()
    return 0


class _Refused(Exception):  # noqa: N818 - an answer, not a failure
    """An answer other than 200."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers


def _handler(settings: SimpleNamespace) -> type[BaseHTTPRequestHandler]:
    """The handler of this server's requests."""
    return type("Handler", (_Handler,), {"settings": settings, "timeout": settings.seconds})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "edge"
    sys_version = ""
    wbufsize = -1  # head and body in one packet: apart, the second waits for the client's ACK
    disable_nagle_algorithm = True
    server: Server
    settings: SimpleNamespace

    def do_GET(self) -> None:
        """Answer /health and /info."""
        self._reply(self._get)

    def do_POST(self) -> None:
        """Answer /predict."""
        self._reply(self._predict)

    do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_GET  # noqa: N815

    def _reply(self, make: Callable[[], dict[str, Any]]) -> None:
        headers: dict[str, str] = {}
        with self.server.busy(self.connection):
            try:
                self._check()
                status, value = 200, make()
            except _Refused as refused:
                status, value, headers = refused.status, {"error": str(refused)}, refused.headers
            except InputError as error:
                status, value = 400, {"error": str(error)}
            except Exception as error:  # noqa: BLE001 - the cause is for the log, not the client
                print(f"error: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                status, value = 500, {"error": "the model failed; the server's log says why"}
            if status >= 400 or self.server.is_stopping:
                self.close_connection = True  # a body may be unread
            self._send(status, value, headers)

    def _check(self) -> None:
        """The path, the method, and who asks."""
        path = self.path.partition("?")[0]
        if path not in _PATHS:
            raise _Refused(404, f"no {path[:100]}; there is: {', '.join(_PATHS)}")
        if self.command != _PATHS[path]:
            raise _Refused(405, f"{path} takes {_PATHS[path]}", Allow=_PATHS[path])
        if self.settings.token:
            given = self.headers.get("Authorization", "").encode("utf-8", "replace")
            wanted = f"Bearer {self.settings.token}".encode()
            if path != "/health" and not hmac.compare_digest(given, wanted):
                raise _Refused(401, "a token is needed", **{"WWW-Authenticate": "Bearer"})
        elif not is_loopback(_host(self.headers.get("Host", "localhost"))):
            # A web page can make a browser ask here, by a name of its own that means 127.0.0.1.
            raise _Refused(403, "asked by another name than this device's own")

    def _get(self) -> dict[str, Any]:
        if self.path.startswith("/health"):
            if self.server.is_stopping:
                raise _Refused(503, "stopping")
            return {"status": "ok"}
        model = self.settings.pool.example
        described = {
            "model": model.source,
            "runtime": model.runtime,
            "inputs": [tensor.to_json() for tensor in model.inputs],
            "outputs": [tensor.to_json() for tensor in model.outputs],
        }
        if model.manifest is not None:
            described["manifest"] = json.loads(model.manifest.to_json())
        return described

    def _predict(self) -> dict[str, Any]:
        length = self._length()
        suffix = self._suffix()
        try:
            # A place comes before the body: bodies in memory are as many as places at most.
            with self.settings.pool.place() as place:
                body = self.rfile.read(length)
                if len(body) < length:
                    raise _Refused(400, "the body is shorter than Content-Length")
                with place.model(self.settings.seconds) as model:
                    raw = _inputs(model, body) if not suffix else from_content(model, body, suffix)
                    return as_json(answer(model, raw))
        except Busy as busy:
            raise _Refused(429, "too many requests", **{"Retry-After": "1"}) from busy
        except TooLate as late:
            raise _Refused(503, "waited too long", **{"Retry-After": "1"}) from late
        except TimeoutError as late:
            raise _Refused(408, "the body took too long") from late

    def _length(self) -> int:
        text = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not text.isdecimal():
            raise _Refused(411, "Content-Length is needed")
        if len(text) > 18 or int(text) > self.settings.max_body:
            raise _Refused(413, f"the body is over the limit of {self.settings.max_body} bytes")
        return int(text)

    def _suffix(self) -> str:
        """What kind of file the body is; empty for JSON."""
        kind = self.headers.get_content_type()
        if kind == "application/json" or "Content-Type" not in self.headers:
            return ""
        if kind not in CONTENT_TYPES:
            known = ", ".join(("application/json", *CONTENT_TYPES))
            raise _Refused(415, f"Content-Type {kind[:100]} is none of {known}")
        return CONTENT_TYPES[kind]

    def _send(self, status: int, value: dict[str, Any], headers: dict[str, str]) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, text in headers.items():
            self.send_header(name, text)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class says of requests that are not HTTP, as JSON too."""
        self.close_connection = True
        self.request_version = self.protocol_version  # an answer without a head is none
        self._send(code, {"error": message or "bad request"}, {})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """A line a request, with --debug only."""
        if self.settings.debug:
            super().log_message(format, *args)


def _host(header: str) -> str:
    """The name in a Host header, without its port."""
    return header[1:].partition("]")[0] if header[:1] == "[" else header.partition(":")[0]


def _inputs(model: Any, body: bytes) -> Any:
    value = parse_json(body)
    if not isinstance(value, dict) or set(value) != {"inputs"}:
        raise InputError('expected a JSON object {"inputs": ...}')
    return from_json(model, value["inputs"])
