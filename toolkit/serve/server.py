"""One process under uvicorn: addresses, TLS, and an end that loses no request."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from edge.loopback import is_loopback
from toolkit.errors import UsageError
from toolkit.serve.app import Application
from toolkit.serve.logs import Log
from toolkit.serve.repository import Source
from toolkit.serve.settings import Settings

_BACKLOG = 2048  # connections that wait to be accepted


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: name or address.
        port: 0 takes a free one.
        certificate: PEM file for TLS, or None.
        key: its private key, or None if it is in the same file.
        linger: seconds between 'not ready' and the end of listening, for load balancers.
        grpc_port: of the Open Inference Protocol over gRPC; 0 takes a free one, None offers none.
    """

    host: str = "127.0.0.1"
    port: int = 8501
    certificate: Path | None = None
    key: Path | None = None
    linger: float = 0.0
    grpc_port: int | None = None

    def check(self, token: str) -> None:
        """Refuse an open address without a token.

        Raises:
            UsageError: others could ask without being known, or files are missing.
        """
        if not token and not is_loopback(self.host):
            raise UsageError(
                f"--host {self.host} is open to others and needs a token: set TOOLKIT_TOKEN or "
                "give --token-file, or listen on 127.0.0.1"
            )
        for file in (self.certificate, self.key):
            if file is not None and not file.is_file():
                raise UsageError(f"{file} is not a file; --tls-cert and --tls-key are PEM files")
        if self.key is not None and self.certificate is None:
            raise UsageError("--tls-key needs --tls-cert")

    def url(self, listener: socket.socket) -> str:
        """Where clients ask."""
        host, port = listener.getsockname()[:2]
        scheme, name = "https" if self.certificate else "http", f"[{host}]" if ":" in host else host
        return f"{scheme}://{name}:{port}"


def serve(sources: Sequence[Source], settings: Settings, address: Address, log: Log) -> None:
    """Load the models, answer until SIGTERM or SIGINT, and end when all is answered.

    Raises:
        UsageError: the address cannot be used.
        ToolkitError: a model cannot be served; nothing was answered.
    """
    address.check(settings.token)
    application = Application(sources, settings, log)
    with _listening(address) as listener, asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(application, address, listener))


class _Server(uvicorn.Server):
    """Ends when the application has said so to those who ask whether it is ready."""

    def __init__(
        self, config: uvicorn.Config, application: Application, linger: float, rpc: Any = None
    ) -> None:
        super().__init__(config)
        self._application, self._linger, self._rpc = application, linger, rpc
        self._loop = asyncio.get_running_loop()
        self._ending: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A second signal ends without waiting for requests."""
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if self._ending is not None:
            self.should_exit = self.force_exit = True
            if self._rpc is not None:
                self._loop.create_task(self._rpc.stop(None))
            return
        self._ending = self._loop.create_task(self._stop())

    async def _stop(self) -> None:
        self._application.stop()
        await asyncio.sleep(self._linger)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let calls of both kinds end."""
        ends = [super().shutdown(sockets)]
        if self._rpc is not None:
            ends.append(self._rpc.stop(self._application.settings.drain))
        await asyncio.gather(*ends)


async def _serve(application: Application, address: Address, listener: socket.socket) -> None:
    settings, log = application.settings, application.log
    config = uvicorn.Config(
        application.guard,
        access_log=False,
        log_config=None,
        server_header=False,
        lifespan="off",  # begun here, so that its errors reach the user as they are
        timeout_graceful_shutdown=max(1, round(settings.drain)),
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
        backlog=_BACKLOG,
    )
    rpc, rpc_port = _grpc(application, address)
    server = _Server(config, application, address.linger, rpc)
    async with application.life():
        listener.listen(_BACKLOG)  # from here on clients are not refused
        if rpc is not None:
            await rpc.start()
        url, models = address.url(listener), application.models()
        log.event("serving", address=url, grpc_port=rpc_port, models=models)
        await server.serve(sockets=[listener])
    log.event("stopped")


def _grpc(application: Application, address: Address) -> tuple[Any, int | None]:
    """The server of gRPC and its port, where it was asked for; started with the models."""
    if address.grpc_port is None:
        return None, None
    from toolkit.serve.grpc_server import listening

    place = address.host, address.grpc_port
    most = application.settings.limits.body
    return listening(application.guard, place, (address.certificate, address.key), most)


def _listening(address: Address) -> socket.socket:
    """A bound socket; taken before models are loaded, so that a port in use is told at once."""
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
    except OSError as error:
        raise UsageError(
            f"--host {address.host} --port {address.port}: {error.strerror or error}; is another "
            "server running?"
        ) from error
    return listener


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The one of uvloop, where it is installed: about a third faster."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
