"""Stands before the application: who may ask, how much at a time, and how each request is told of.

A plain ASGI wrapper, since it is passed by every request: token, host name, number of requests at a
time, request id, log line, and one form for every error.
"""

import asyncio
import hmac
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from typing import Any

from toolkit.serve.errors import OverloadError, RequestError
from toolkit.serve.json_in import dumps
from toolkit.serve.logs import Log
from toolkit.serve.pages import PAGES
from toolkit.serve.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = frozenset(
    ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/favicon.ico", *PAGES)
)
"""Paths that need no token: probes have none, and a person types it into the page."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:+/=-]{1,128}")
_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """The application that uvicorn and Ray Serve run.

    Args:
        app: what answers.
        settings: token and limits.
        log: where requests are told of.

    Attributes:
        busy: requests at hand.
        adds_ids: whether answers carry X-Request-Id.
        is_stopping: set when the server is to end: connections are closed after their answer.
    """

    def __init__(self, app: App, settings: Settings, log: Log) -> None:
        self._app, self._settings, self._log = app, settings, log
        self._token = f"Bearer {settings.token}".encode() if settings.token else b""
        self.busy, self.is_stopping = 0, False
        self.adds_ids = settings.request_ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP goes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, _request_id(scope), self)
        scope["state"] = {**scope.get("state", {}), "request_id": answer.request_id}
        self.busy += 1
        error: BaseException | None = None
        try:
            self._admit(scope)
            async with asyncio.timeout(self._settings.limits.seconds + 5):
                await self._app(scope, receive, answer.send)
        except RequestError as refused:
            error = refused
            await answer.refuse(refused)
        except TimeoutError as late:
            error = late
            await answer.refuse(RequestError("the answer took too long", status=504))
        except Exception as broken:  # noqa: BLE001 - the log says why, the client never
            error = broken
            await answer.refuse(RequestError("the server failed; its log says why", status=500))
        finally:
            self.busy -= 1
            if answer.status >= 400 or self._settings.access_log:
                self._log.request(scope, answer.request_id, answer.status, answer.seconds, error)

    def _admit(self, scope: Scope) -> None:
        """Raises RequestError if this request is not even looked at."""
        if self.busy > self._settings.limits.concurrency:
            raise OverloadError("too many requests at a time; try again later", retry_after=1)
        headers = dict(scope["headers"])
        if not self._token:
            if self._settings.is_local and not _is_local(headers.get(b"host", b"localhost")):
                raise RequestError(
                    "asked by another name than this machine's own; ask 127.0.0.1, or let the "
                    "server have a token",
                    status=403,
                )
        elif scope["path"] not in OPEN and not hmac.compare_digest(
            headers.get(b"authorization", b""), self._token
        ):
            raise RequestError("a token is needed: Authorization: Bearer TOKEN", status=401)


class _Answer:
    """Sends an answer's parts on, with the headers that all have."""

    def __init__(self, send: Send, request_id: bytes, guard: Guard) -> None:
        self._send, self._guard = send, guard
        self._begun = time.perf_counter()
        self.request_id, self.status = request_id.decode(), 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), *_SAFE]
            if self._guard.adds_ids:
                headers.append((b"x-request-id", self.request_id.encode()))
            if self._guard.is_stopping:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, error: RequestError) -> None:
        """An error's answer, unless another one is under way."""
        if self.status:
            return
        headers = [(b"content-type", b"application/json")]
        body = dumps({"error": str(error)})
        headers.append((b"content-length", str(len(body)).encode()))
        if error.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if error.allow:
            headers.append((b"allow", error.allow.encode()))
        if error.retry_after:
            headers.append((b"retry-after", str(max(1, round(error.retry_after))).encode()))
        if error.status in (408, 413):  # a body is left unread
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _request_id(scope: Scope) -> bytes:
    """The client's, if it is harmless in a log; otherwise a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(8).encode()


def _is_local(host: bytes) -> bool:
    text = host.decode("latin-1")
    name = text[1:].partition("]")[0] if text[:1] == "[" else text.partition(":")[0]
    return is_loopback(name)


def is_loopback(name: str) -> bool:
    """Whether a host name or address is this machine alone."""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
