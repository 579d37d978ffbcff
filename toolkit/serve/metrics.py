"""What Prometheus reads at /metrics: counts and times by model and version, and the proof.

The names follow Prometheus' rules: base units, `_total` for counters.
"""

from collections import defaultdict, deque
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from toolkit.serve.histograms import Histograms
from toolkit.serve.repository import Repository

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_OF = ("model", "version")
_RECENT = 512  # requests whose latency a person sees


class Metrics:
    """Counters of one server, for its event loop."""

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self._seconds = Histograms(
            "toolkit_request_seconds",
            "From a request's body to its answer.",
            (*_OF, "protocol"),
            _SECONDS,
        )
        self._run = Histograms("toolkit_batch_seconds", "One call of the model.", _OF, _SECONDS)
        self._size = Histograms("toolkit_batch_samples", "Samples of one call.", _OF, _SIZES)
        for each in (self._seconds, self._run, self._size):
            own.register(each)
        self._errors = Counter(
            "toolkit_request_errors",
            "Requests refused or failed.",
            ("model", "status"),
            registry=own,
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
        self._events = Counter(
            "toolkit_model_events",
            "Versions loaded, refused, unloaded.",
            ("model", "event"),
            registry=own,
        )
        self._recent: dict[tuple[str, str], deque[float]] = defaultdict(
            lambda: deque(maxlen=_RECENT)
        )

    def answered(self, model: str, version: int, protocol: str, seconds: float) -> None:
        """A request was answered."""
        number = str(version)
        self._seconds.observe((model, number, protocol), seconds)
        self._recent[model, number].append(seconds)

    def latency(self, model: str, version: int) -> dict[str, float]:
        """Milliseconds of the latest requests, {} without any: count, p50_ms, p99_ms."""
        recent = sorted(self._recent.get((model, str(version)), ()))
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
        labels = model, str(version)
        self._run.observe(labels, seconds)
        self._size.observe(labels, samples)

    def event(self, model: str, event: str) -> None:
        """A version was loaded, refused or unloaded."""
        self._events.labels(model, event).inc()

    def forget(self, model: str, known: Iterable[int]) -> None:
        """Drop what was counted for all versions of a model but the known; they have no end."""
        kept = {str(number) for number in known}

        def is_gone(labels: tuple[str, ...]) -> bool:
            return labels[0] == model and labels[1] not in kept

        for each in (self._seconds, self._run, self._size):
            each.drop(is_gone)
        for labels in [each for each in self._recent if is_gone(each)]:
            del self._recent[labels]

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
