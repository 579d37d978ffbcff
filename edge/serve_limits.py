"""What keeps the HTTP server within bounds: connections, places for requests, copies of the model.

What is asked and answered is in serve.py.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from edge.model import Model

_SPARE_CONNECTIONS = 32  # for /health, and clients that keep theirs open
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    b'Connection: close\r\nContent-Length: 33\r\n\r\n{"error": "too many connections"}'
)


class Busy(Exception):  # noqa: N818 - an answer, not a failure
    """All places are taken."""


class TooLate(Exception):  # noqa: N818
    """No copy of the model was free in time."""


class Pool:
    """Copies of one model, each used by one request at a time, and places to wait for them."""

    def __init__(self, models: Sequence[Model], waiting: int) -> None:
        self.example = models[0]
        self.limit = len(models) + waiting
        self._places = threading.BoundedSemaphore(self.limit)
        self._free: queue.LifoQueue[Model] = queue.LifoQueue()  # the last used is in the cache
        for model in models:
            self._free.put(model)

    @contextmanager
    def place(self) -> Iterator[Pool]:
        """Take a place; raises Busy if there is none."""
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            yield self
        finally:
            self._places.release()

    @contextmanager
    def model(self, seconds: float) -> Iterator[Model]:
        """Take a copy of the model, waiting for it; raises TooLate."""
        try:
            model = self._free.get(timeout=seconds)
        except queue.Empty as error:
            raise TooLate from error
        try:
            yield model
        finally:
            self._free.put(model)


class Server(ThreadingHTTPServer):
    """A thread a connection, a limit of them, and an end that waits for answers only."""

    daemon_threads = False
    allow_reuse_address = True

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], places: int
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.request_queue_size = places + _SPARE_CONNECTIONS
        self.is_stopping = False
        self._limit = places + _SPARE_CONNECTIONS
        self._lock = threading.Lock()
        self._busy: dict[Any, bool] = {}  # by connection
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind without looking up this device's name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, or refuse it."""
        with self._lock:
            full = len(self._busy) >= self._limit
            if not full:
                self._busy[request] = False
        if not full:
            super().process_request(request, client_address)
            return
        try:
            request.settimeout(1)
            request.sendall(_FULL)
        except OSError:
            pass
        self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            self._busy.pop(request, None)
        super().shutdown_request(request)

    @contextmanager
    def busy(self, connection: Any) -> Iterator[None]:
        """While a request of the connection is answered."""
        with self._lock:
            self._busy[connection] = True
        try:
            yield
        finally:
            with self._lock:
                self._busy[connection] = False

    def finish(self) -> None:
        """Take no more requests, wait for the answers that are being made, close everything."""
        with self._lock:
            self.is_stopping = True
            idle = [connection for connection, busy in self._busy.items() if not busy]
        for connection in idle:  # their threads wait for a next request: they get the end
            try:
                connection.shutdown(socket.SHUT_RD)
            except OSError:  # noqa: PERF203 - it is gone already
                continue
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is, without a traceback."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(f"error: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
