"""OpenTelemetry spans, where they were asked for; otherwise nothing is loaded or done."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from starlette.requests import Request

from toolkit.errors import UsageError


class Span(Protocol):
    """What is used of a span."""

    def set_attribute(self, key: str, value: Any) -> None:
        """Note a fact."""


class Tracer(Protocol):
    """Makes a span of each request."""

    def span(self, request: Request, protocol: str) -> AbstractContextManager[Span]:
        """A span that ends with the block."""


class _Nothing:
    """A span and a tracer that do nothing."""

    def set_attribute(self, key: str, value: Any) -> None: ...

    def span(self, request: Request, protocol: str) -> AbstractContextManager[Span]:
        return _NO_SPAN


NO_TRACER: Tracer = _Nothing()
_NO_SPAN = contextlib.nullcontext(_Nothing())


class OpenTelemetry:
    """Spans of the global tracer provider, continuing the client's trace."""

    def __init__(self) -> None:
        from opentelemetry import propagate, trace

        self._extract = propagate.extract
        self._tracer = trace.get_tracer("toolkit.serve")
        self._kind = trace.SpanKind.SERVER

    @contextlib.contextmanager
    def span(self, request: Request, protocol: str) -> Iterator[Span]:
        """A span named after the route's model."""
        name = f"{protocol} {request.path_params.get('model', '')}"
        attributes = {
            "http.request.method": request.method,
            "url.path": request.url.path,
            "toolkit.request_id": request.scope["state"]["request_id"],
        }
        with self._tracer.start_as_current_span(
            name, self._extract(request.headers), self._kind, attributes
        ) as span:
            yield span


def open_tracer(wanted: bool) -> Tracer:
    """A tracer that sends to OTEL_EXPORTER_OTLP_ENDPOINT, or one that does nothing.

    Raises:
        UsageError: OpenTelemetry is not installed.
    """
    if not wanted:
        return NO_TRACER
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise UsageError(
            f"--trace needs {error.name}; pip install 'edge-deployment-toolkit[trace]'"
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "toolkit-serve"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return OpenTelemetry()
