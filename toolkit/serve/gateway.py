"""From a request's body to a model's answer: what all protocols share.

Model, preprocessing and queue are reached without awaiting in between, so that a version that is
taken out of service answers everything it was found for.
"""

import asyncio
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from edge.errors import EdgeError, InputError
from toolkit.serve.errors import DeadlineError, FailedError, RequestError
from toolkit.serve.json_in import dumps
from toolkit.serve.metrics import Metrics
from toolkit.serve.repository import Repository, Served
from toolkit.serve.settings import Settings
from toolkit.serve.tracing import Tracer
from toolkit.serve.version import Array, Arrays, Version


class Call(Protocol):
    """A request as a protocol read it: raw arrays by input name, preprocessed unless told."""

    @property
    def inputs(self) -> Arrays:
        """Arrays [n, ...] by name."""

    @property
    def preprocess(self) -> bool:
        """Whether the inputs are raw."""


@dataclass(frozen=True)
class Wanted:
    """Which model a URL names; a version, a label or neither."""

    model: str
    version: int | None = None
    label: str | None = None

    @classmethod
    def of(cls, request: Request) -> "Wanted":
        """From the parameters of a route: model, version, label."""
        given = request.path_params
        return cls(given["model"], given.get("version"), given.get("label"))


@dataclass(frozen=True)
class Gateway:
    """What the routes need."""

    repository: Repository
    settings: Settings
    metrics: Metrics
    tracer: Tracer

    def find(self, wanted: Wanted) -> Served:
        """Raises UnknownError, UnavailableError."""
        return self.repository.find(wanted.model, version=wanted.version, label=wanted.label)

    async def body(self, request: Request) -> bytes:
        """All of a request's body, unpacked.

        Raises:
            RequestError: 413 if it is over the limit, 408 if it takes too long, 415 if it is packed
                in another way than gzip or deflate.
        """
        limits = self.settings.limits
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > limits.body:
            raise _too_long(limits.body)
        try:
            async with asyncio.timeout(limits.seconds):
                body = await self._whole(request, limits.body)
        except TimeoutError as late:
            raise RequestError("the body took too long", status=408) from late
        except ClientDisconnect as gone:
            raise RequestError("the client went away", status=499) from gone
        coding = request.headers.get("content-encoding")
        return body if coding is None else _unpacked(body, coding, limits.body)

    async def _whole(self, request: Request, most: int) -> bytes:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise _too_long(most)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def answer(
        self,
        request: Request,
        protocol: str,
        read: Callable[[bytes, Version], Any],
        write: Callable[[dict[str, Array], Any, Version], Response],
    ) -> Response:
        """Read a request, ask the model, write the answer.

        Args:
            request: names a model.
            protocol: for metrics.
            read: from body and version to a `Call`; raises RequestError.
            write: from outputs, call and version to the answer.
        """
        wanted = Wanted.of(request)
        try:
            body = await self.body(request)
            begun = time.perf_counter()
            with self.tracer.span(request, protocol) as span:
                served = self.find(wanted)
                version = served.version
                call = read(body, version)
                outputs = await self.ask(served, call)
                span.set_attribute("toolkit.version", version.number)
                response = write(outputs, call, version)
        except RequestError as refused:
            known = wanted.model if wanted.model in self.repository.names else ""
            self.metrics.refused(known, refused.status)
            raise
        seconds = time.perf_counter() - begun
        self.metrics.answered(version.name, version.number, protocol, seconds)
        return response

    async def ask(self, served: Served, call: Call) -> dict[str, Array]:
        """Preprocess and run; a client that waits no longer is not computed for.

        Raises:
            RequestError: the inputs do not fit, or as `Batcher.submit` does.
        """
        try:
            prepared = served.version.prepare(call.inputs, preprocess=call.preprocess)
        except InputError as error:
            raise RequestError(str(error)) from error
        except EdgeError as error:
            raise FailedError("the model's preprocessing failed; the log says why") from error
        deadline = asyncio.get_running_loop().time() + self.settings.limits.seconds
        try:
            return await served.batcher.submit(prepared, deadline)
        except TimeoutError as late:
            raise DeadlineError("the answer took too long") from late


def json_response(value: Any, status: int = 200) -> Response:
    """An answer of JSON; arrays may be in it."""
    return Response(dumps(value), status, media_type="application/json")


def _unpacked(body: bytes, coding: str, most: int) -> bytes:
    """A packed body, which may not grow beyond the limit either."""
    if coding == "identity":
        return body
    windows = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
    if coding not in windows:
        raise RequestError(
            f"Content-Encoding {coding[:40]!r} is none of gzip, deflate, identity", status=415
        )
    unpacker = zlib.decompressobj(windows[coding])
    try:
        content = unpacker.decompress(body, most + 1)
    except zlib.error as error:
        raise RequestError(f"the body is not {coding}: {error}") from error
    if len(content) > most:
        raise _too_long(most)
    if not unpacker.eof:
        raise RequestError(f"the body is cut off: its {coding} stream does not end")
    return content


def _too_long(most: int) -> RequestError:
    return RequestError(
        f"the body is over the limit of {most} bytes; send fewer samples, or use binary tensors",
        status=413,
    )
