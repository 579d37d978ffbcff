"""OpenTelemetry spans of requests, in the client's own trace."""

import asyncio

import pytest
from starlette.requests import Request

from toolkit.errors import UsageError
from toolkit.serve import tracing


@pytest.fixture(scope="module")
def spans():
    trace = pytest.importorskip("opentelemetry.trace")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def request(**headers):
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/v2/models/m/infer", "headers": raw}
    more = {"path_params": {"model": "m"}, "state": {"request_id": "r-1"}, "query_string": b""}
    return Request(scope | more | {"server": ("127.0.0.1", 80), "scheme": "http"})


def test_a_span_goes_on_with_the_clients_trace(spans):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with tracing.OpenTelemetry().span(request(traceparent=parent), "infer") as span:
        span.set_attribute("toolkit.version", 3)
    (found,) = spans.get_finished_spans()
    assert found.name == "infer m"
    assert f"{found.context.trace_id:x}" == "af7651916cd43dd8448eb211c80319c"
    assert dict(found.attributes) == {
        "http.request.method": "POST",
        "url.path": "/v2/models/m/infer",
        "toolkit.request_id": "r-1",
        "toolkit.version": 3,
    }


def test_an_error_is_on_its_span(spans):
    spans.clear()
    with pytest.raises(ValueError, match="broke"), tracing.OpenTelemetry().span(request(), "infer"):
        raise ValueError("broke")
    (found,) = spans.get_finished_spans()
    assert not found.status.is_ok


def test_without_the_option_nothing_is_loaded_or_done():
    with tracing.open_tracer(False).span(request(), "infer") as span:
        span.set_attribute("a", 1)
    assert tracing.open_tracer(False) is tracing.NO_TRACER
    asyncio.run(asyncio.sleep(0))


def test_the_option_without_the_packages_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter", None)
    with pytest.raises(UsageError, match=r"edge-deployment-toolkit\[trace\]"):
        tracing.open_tracer(True)
