"""What Prometheus reads at /metrics: counts and times by model and version, and the proof.

The names follow Prometheus' rules: base units, `_total` for counters.
"""

from collections import defaultdict, deque

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from toolkit.serve.repository import Repository

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_OF = ("model", "version")


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        own = self._registry
        self._seconds = Histogram(
            "toolkit_request_seconds",
            "From a request's body to its answer.",
            (*_OF, "protocol"),
            buckets=_SECONDS,
            registry=own,
        )
        self._errors = Counter(
            "toolkit_request_errors",
            "Requests refused or failed.",
            ("model", "status"),
            registry=own,
        )
        self._run = Histogram(
            "toolkit_batch_seconds", "One call of the model.", _OF, buckets=_SECONDS, registry=own
        )
        self._size = Histogram(
            "toolkit_batch_samples", "Samples of one call.", _OF, buckets=_SIZES, registry=own
        )
        self._queue = Gauge("toolkit_queue_requests", "Requests that wait.", _OF, registry=own)
        self._available = Gauge("toolkit_model_available", "1 while it answers.", _OF, registry=own)
        self._verified = Gauge(
            "toolkit_model_verified", "1 if it passed verification.", _OF, registry=own
        )
        self._golden = Gauge(
            "toolkit_model_golden_error",
            "Greatest difference from the golden vectors found here, in their range.",
            _OF,
            registry=own,
        )
        self._swaps = Counter(
            "toolkit_model_events",
            "Versions loaded, refused, unloaded.",
            ("model", "event"),
            registry=own,
        )
        self._cache: dict[tuple[str, int, str], Histogram] = {}
        self._calls: dict[tuple[str, int], tuple[Histogram, Histogram]] = {}
        self._recent: dict[tuple[str, int], deque[float]] = defaultdict(lambda: deque(maxlen=512))

    def answered(self, model: str, version: int, protocol: str, seconds: float) -> None:
        """A request was answered."""
        key = (model, version, protocol)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._seconds.labels(model, str(version), protocol)
        found.observe(seconds)
        self._recent[model, version].append(seconds)

    def latency(self, model: str, version: int) -> dict[str, float]:
        """Milliseconds of the latest requests, {} without any: count, p50_ms, p99_ms."""
        recent = sorted(self._recent.get((model, version), ()))
        if not recent:
            return {}
        at = {"p50_ms": 0.5, "p99_ms": 0.99}
        count = len(recent)
        return {"count": count} | {k: 1e3 * recent[int(q * (count - 1))] for k, q in at.items()}

    def refused(self, model: str, status: int) -> None:
        """A request was refused; `model` is '' where it is unknown."""
        self._errors.labels(model, str(status)).inc()

    def batch(self, model: str, version: int, samples: int, seconds: float) -> None:
        """A model was called once."""
        found = self._calls.get((model, version))
        if found is None:
            labels = (model, str(version))
            found = self._run.labels(*labels), self._size.labels(*labels)
            self._calls[model, version] = found
        found[0].observe(seconds)
        found[1].observe(samples)

    def event(self, model: str, event: str) -> None:
        """A version was loaded, refused or unloaded."""
        self._swaps.labels(model, event).inc()

    def text(self, repository: Repository) -> bytes:
        """All of it, in Prometheus' format."""
        for gauge in (self._queue, self._available, self._verified, self._golden):
            gauge.clear()
        for served in repository.served():
            version = served.version
            labels = (version.name, str(version.number))
            self._available.labels(*labels).set(1)
            self._queue.labels(*labels).set(served.batcher.queued)
            self._verified.labels(*labels).set(version.proof.verified)
            if version.proof.error is not None:
                self._golden.labels(*labels).set(version.proof.error)
        return generate_latest(self._registry)
