"""The one ASGI application, run by uvicorn on one machine and by Ray Serve in every replica."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.routing import Match

from toolkit.serve import routes_oip, routes_people, routes_tfserving
from toolkit.serve.errors import RequestError, UnknownError
from toolkit.serve.gateway import Gateway
from toolkit.serve.guard import Guard, Receive, Scope, Send
from toolkit.serve.logs import Log
from toolkit.serve.memory import Memory
from toolkit.serve.metrics import Metrics
from toolkit.serve.repository import Repository, Source
from toolkit.serve.settings import Settings
from toolkit.serve.tracing import open_tracer


class _Name(Convertor[str]):
    """A model or a label: anything between slashes and colons."""

    regex = "[^/:]{1,200}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _Number(Convertor[int]):
    """A version; of a length that becomes a number without harm."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


_REMEMBERED = 4096  # addresses; a client that makes them up costs no memory
_Target = tuple[Callable[[Request], Awaitable[Any]], dict[str, Any]]

register_url_convertor("name", _Name())
register_url_convertor("number", _Number())


class Application:
    """Routes and life of a server; `guard` is what is served.

    Args:
        sources: the models.
        settings: all limits.
        log: where it tells of itself.
    """

    def __init__(self, sources: Sequence[Source], settings: Settings, log: Log) -> None:
        self.metrics, self.settings, self.log = Metrics(), settings, log
        self._memory = Memory()
        self.repository = Repository(
            sources,
            settings.loading,
            settings.batching,
            on_event=self._event,
            on_batch=self.metrics.batch,
        )
        gateway = Gateway(self.repository, settings, self.metrics, open_tracer(settings.trace))
        modules = (routes_tfserving, routes_oip, routes_people)
        self._routes = [route for module in modules for route in module.routes(gateway)]
        self._known: dict[tuple[str, str], _Target] = {}
        self.guard = Guard(self._answer, settings, log)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; anything but HTTP is the life of the application, under Ray Serve."""
        if scope["type"] != "http":
            await self._live(receive, send)
            return
        address = scope["method"], scope["path"]
        target = self._known.get(address) or self._find(address, scope)
        scope["path_params"] = target[1]
        reply = await target[0](Request(scope, receive))
        await reply(scope, receive, send)

    def _find(self, address: tuple[str, str], scope: Scope) -> "_Target":
        """Endpoint and parameters of an address, remembered: looking costs as much as answering.

        Raises:
            RequestError: 404 or 405.
        """
        allow: set[str] = set()
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[address] = (route.endpoint, found["path_params"])
                return self._known[address]
            if match is Match.PARTIAL:
                allow |= route.methods or set()
        if allow:
            text = ", ".join(sorted(allow))
            raise RequestError(
                f"{address[0]} {address[1][:200]}: it takes {text}", status=405, allow=text
            )
        raise UnknownError(
            f"no address {address[1][:200]}; /openapi.json lists all, such as "
            "/v1/models/NAME:predict and /v2/models/NAME/infer"
        )

    async def _live(self, receive: Receive, send: Send) -> None:
        """ASGI's lifespan."""
        await receive()
        async with self.life():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        """Load before the first request; drain after the last."""
        await self.repository.start()
        watching = asyncio.create_task(self.repository.watch(self.settings.poll))
        try:
            yield
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            await self.repository.stop(self.settings.drain)

    def models(self) -> str:
        """Names and versions of what is loaded."""
        served = self.repository.served()
        return " ".join(f"{each.version.name}/{each.version.number}" for each in served)

    def stop(self) -> None:
        """Be ready no longer; requests are still answered, and their connections closed."""
        self.log.event("stopping", requests=self.guard.busy)
        self.guard.is_stopping = True
        self.repository.stopping = True

    def _event(self, event: dict[str, Any]) -> None:
        """Something happened to a version: for the log and the metrics."""
        facts = dict(event)
        kind = facts.pop("event")
        level = "warning" if facts.get("error") else "info"
        self.log.event(kind, level=level, **facts)
        self.metrics.event(facts.get("model", ""), kind)
        if kind in ("unloaded", "refused"):
            states = self.repository.status(facts["model"])
            self.metrics.forget(facts["model"], (state.version for state in states))
            self._memory.freed()
