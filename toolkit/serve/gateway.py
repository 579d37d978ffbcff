"""From a request's body to a model's answer: what all protocols share.

Model, preprocessing and queue are reached without awaiting in between, so that a version that is
taken out of service answers everything it was found for.
"""

import asyncio
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request

from edge.errors import EdgeError, InputError
from toolkit.serve.errors import DeadlineError, FailedError, RequestError
from toolkit.serve.metrics import Metrics
from toolkit.serve.reply import Reply
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
            RequestError: 413 if it is over the limit, 415 if it is packed in another way than gzip
                or deflate, 499 if the client went away.
        """
        most, state = self.settings.limits.body, request.scope["state"]
        length = state["headers"].get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > most:
            raise _too_long(most)
        message = await request.receive()
        if message.get("more_body", True):
            body = await _rest(request, message, most)
        else:
            body = message["body"]
            if len(body) > most:
                raise _too_long(most)
        state["has_body"] = True
        coding = state["headers"].get(b"content-encoding")
        return body if coding is None else _unpacked(body, coding.decode("latin-1"), most)

    async def answer(
        self,
        request: Request,
        protocol: str,
        read: Callable[[bytes, Version], Any],
        write: Callable[[dict[str, Array], Any, Version], Reply],
    ) -> Reply:
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


async def _rest(request: Request, message: Mapping[str, Any], most: int) -> bytes:
    """The whole body, of which `message` is the first part."""
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise RequestError("the client went away", status=499)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise _too_long(most)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await request.receive()


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
