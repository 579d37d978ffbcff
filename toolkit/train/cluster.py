"""Ray itself: start a private cluster or join one, and leave nothing behind."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from toolkit.errors import ResourceError, ToolkitError

# Said to Ray before it is imported: no usage reports, no advice meant for Ray's developers.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_worker_niceness": "0",  # Ray's own 15 starves training beside any other work
}

# For glibc's malloc. Ray calls an actor in a thread other than the first, whose heap is given back
# and faulted in again at every step of a model with large activations (10 MB a step measured).
_ALLOCATOR = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # the most that glibc takes
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}


@contextlib.contextmanager
def connect(address: str | None, verbose: bool) -> Iterator[None]:
    """Join the cluster at `address`, or start one on this machine for as long as the block runs.

    Args:
        address: 'host:port' of a cluster's head, 'auto' for one that runs here, or None.
        verbose: let Ray and the workers print.

    Raises:
        ResourceError: nothing answers at `address`.
        ToolkitError: Ray does not start.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if address is None:  # a private cluster that listens on this machine alone
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        for name, value in _ALLOCATOR.items():
            os.environ.setdefault(name, value)
    else:
        _check_reachable(address)
    import ray

    try:
        ray.init(
            address=address or "local",
            num_cpus=local_cpus() if address is None else None,
            include_dashboard=False if address is None else None,
            _node_ip_address="127.0.0.1" if address is None else None,
            runtime_env=None if address is None else _ship_packages() | {"env_vars": _ALLOCATOR},
            log_to_driver=verbose,
            logging_level="INFO" if verbose else "ERROR",
            configure_logging=verbose,
        )
    except Exception as error:  # Ray raises plain ones, too, such as where a node starts too slowly
        place = f"the Ray cluster at {address}" if address else "Ray on this machine"
        look = "see 'ray status'" if address else "try again when it is less busy: toolkit doctor"
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise ToolkitError(f"cannot start {place}: {why}; {look}") from error
    try:
        with _terminate_like_interrupt():  # after ray.init, which installs a handler of its own
            yield
    finally:
        ray.shutdown()


def resources() -> tuple[int, int]:
    """CPUs and GPUs of the connected cluster."""
    import ray

    total = ray.cluster_resources()
    return int(total.get("CPU", 0)), int(total.get("GPU", 0))


def local_cpus() -> int:
    """CPUs that this process may use, which a container or taskset may limit."""
    return len(os.sched_getaffinity(0))


def _ship_packages() -> dict[str, Any]:
    """A cluster's machines need our dependencies installed, but not this package itself."""
    root = Path(__file__).parents[2]
    return {"py_modules": [str(root / "toolkit"), str(root / "edge")]}


def _check_reachable(address: str) -> None:
    """Fail at once where Ray would retry for minutes."""
    if address in ("auto", "local") or "://" in address:
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise ResourceError(
            f"nothing answers at {address} ({error}); give the head's HOST:PORT as printed by "
            "'ray start --head', usually port 6379"
        ) from error


@contextlib.contextmanager
def _terminate_like_interrupt() -> Iterator[None]:
    """Let SIGTERM unwind like Ctrl-C, so that the workers are ended too."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
