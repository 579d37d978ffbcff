"""Stands before the application: who may ask, how much at a time, and how each request is told of.

A plain ASGI wrapper, since it is passed by every request: token, host name, number of requests at a
time, request id, log line, and one form for every error.
"""

import asyncio
import functools
import hmac
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from edge.loopback import is_loopback
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
        self._prefix, self._count = secrets.token_hex(6), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP goes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        answer = _Answer(send, self._request_id(headers), self)
        state = scope["state"] = {"request_id": answer.request_id, "headers": headers}
        self.busy += 1
        error: BaseException | None = None
        try:
            self._admit(scope["path"], headers)
            async with asyncio.timeout(self._settings.limits.seconds):
                await self._app(scope, receive, answer.send)
        except RequestError as refused:
            error = refused
            await answer.refuse(refused)
        except TimeoutError as late:
            error = late
            what, status = ("answer", 504) if "has_body" in state else ("body", 408)
            await answer.refuse(RequestError(f"the {what} took too long", status=status))
        except Exception as broken:  # noqa: BLE001 - the log says why, the client never
            error = broken
            await answer.refuse(RequestError("the server failed; its log says why", status=500))
        finally:
            self.busy -= 1
            if answer.status >= 400 or self._settings.access_log:
                self._log.request(scope, answer.request_id, answer.status, answer.seconds, error)

    def _admit(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Raises RequestError if this request is not even looked at."""
        if self.busy > self._settings.limits.concurrency:
            raise OverloadError("too many requests at a time; try again later", retry_after=1)
        if not self._token:
            if self._settings.is_local and not _is_local(headers.get(b"host", b"localhost")):
                raise RequestError(
                    "asked by another name than this machine's own; ask 127.0.0.1, or let the "
                    "server have a token",
                    status=403,
                )
        elif path not in OPEN and not hmac.compare_digest(
            headers.get(b"authorization", b""), self._token
        ):
            raise RequestError("a token is needed: Authorization: Bearer TOKEN", status=401)

    def _request_id(self, headers: Mapping[bytes, bytes]) -> str:
        """The client's, if it is harmless in a log; otherwise a new one."""
        given = headers.get(b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given.decode()
        self._count += 1
        return f"{self._prefix}-{self._count:x}"


class _Answer:
    """Sends an answer's parts on, with the headers that all have."""

    __slots__ = ("_begun", "_guard", "_send", "request_id", "status")

    def __init__(self, send: Send, request_id: str, guard: Guard) -> None:
        self._send, self._guard = send, guard
        self._begun = time.perf_counter()
        self.request_id, self.status = request_id, 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"] = [*message.get("headers", ()), *_SAFE]
            if self._guard.adds_ids:
                headers.append((b"x-request-id", self.request_id.encode()))
            if self._guard.is_stopping:
                headers.append((b"connection", b"close"))
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


@functools.lru_cache(256)
def _is_local(host: bytes) -> bool:
    text = host.decode("latin-1")
    name = text[1:].partition("]")[0] if text[:1] == "[" else text.partition(":")[0]
    return is_loopback(name)
