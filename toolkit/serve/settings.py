"""How a server behaves: limits, threads, and what it takes for good enough to serve."""

from dataclasses import dataclass, field
from pathlib import Path

from toolkit.errors import UsageError


@dataclass(frozen=True)
class Batching:
    """How requests for one model are joined.

    Attributes:
        size: most samples of one call of the model; 1 joins nothing.
        delay: seconds that the first request waits for others. 0: as many as came while the model
            was busy, which costs a lone request nothing.
        queue: most requests that wait; the next is answered 429.
    """

    size: int = 32
    delay: float = 0.0
    queue: int = 256

    def __post_init__(self) -> None:
        if self.size < 1 or self.delay < 0 or self.queue < 1:
            raise UsageError("a batch and a queue hold 1 at least, and no delay is below 0")


@dataclass(frozen=True)
class Loading:
    """How models are opened.

    Attributes:
        threads: of the runtime for one call; 0 chooses by the model's own speed.
        precision: of a bundle's models, or '' for the one that it prefers.
        keys: file of public keys that bundles must be signed with, or None.
        allow_unsigned: take bundles without a signature. Without `keys` all are taken.
        allow_unverified: take models without a passing verification.
        selftest: replay golden vectors in a child process before a model is served.
        timeout: seconds that the self-test may take.
    """

    threads: int = 0
    precision: str = ""
    keys: Path | None = None
    allow_unsigned: bool = False
    allow_unverified: bool = False
    selftest: bool = True
    timeout: float = 120.0


@dataclass(frozen=True)
class Limits:
    """What one client may ask of the server.

    Attributes:
        body: most bytes of a request.
        depth: of nested JSON.
        seconds: that a request may take, its body included; after that it is answered 504.
        concurrency: most requests at a time; the next is answered 429.
    """

    body: int = 16 << 20
    depth: int = 32
    seconds: float = 30.0
    concurrency: int = 1024

    def __post_init__(self) -> None:
        if min(self.body, self.depth, self.concurrency) < 1 or self.seconds <= 0:
            raise UsageError("limits of a request are above 0")


@dataclass(frozen=True)
class Settings:
    """Everything about a server but its models.

    Attributes:
        batching: how requests are joined.
        loading: how models are opened.
        limits: what a request may cost.
        token: that clients send as `Authorization: Bearer TOKEN`, or '' for none.
        is_local: whether the server listens on loopback only; names of other hosts are refused
            then where there is no token, since web pages can make a browser ask here.
        poll: seconds between two looks at folders of versions.
        drain: seconds for requests at hand when the server stops.
        access_log: log every request, not only those that failed.
        trace: send OpenTelemetry spans.
        request_ids: add X-Request-Id to answers; off behind a proxy that does.
    """

    batching: Batching = Batching()
    loading: Loading = Loading()
    limits: Limits = Limits()
    token: str = field(default="", repr=False)
    is_local: bool = True
    poll: float = 1.0
    drain: float = 30.0
    access_log: bool = False
    trace: bool = False
    request_ids: bool = True
