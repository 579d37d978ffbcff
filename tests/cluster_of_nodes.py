"""A Ray cluster of several nodes on this machine, for tests that lose one.

Every node is a real `ray start --block` with an address of its own: a loopback address, or, where
network namespaces are allowed, one on a private bridge that can be cut off. Nothing stays behind.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType

RAY = Path(sys.executable).with_name("ray")
# As deploy/ sets them: a killed node is lost after 3 seconds, one without a network after 6.
QUICK = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_JOB_STOP_WAIT_TIME_S": "60",  # as deploy/ allows for a checkpoint
}
_SECONDS = 60.0


@dataclass(frozen=True)
class Node:
    """One node: its address, and the mark that all of its processes carry."""

    number: int
    address: str
    mark: str

    def processes(self) -> list[int]:
        """Ids of the node's processes: raylet, workers, agents, and on the head the GCS."""
        return marked(f"TOOLKIT_NODE={self.mark}")


class RayNodes:
    """A head and `workers` more nodes of `cpus` CPUs each, for as long as a `with` block runs.

    Attributes:
        nodes: those that run, the head first.
        address: what `--address` takes.

    Args:
        workers: nodes besides the head.
        cpus: of each node.
        namespaces: a network namespace a node, so that `cut` works; needs root.
        health: RAY_health_check_* settings of the head, or {} for Ray's own.
        dashboard_port: of the head's dashboard, which jobs are submitted to; None for none.
    """

    def __init__(
        self,
        workers: int = 1,
        cpus: int = 1,
        *,
        namespaces: bool = False,
        health: Mapping[str, str] = QUICK,
        dashboard_port: int | None = None,
    ) -> None:
        self._workers, self._cpus, self._health = workers, cpus, health
        self._dashboard_port = dashboard_port
        self._net = _Bridge() if namespaces else _Loopback()
        self._folder = Path(tempfile.mkdtemp(prefix="rn"))  # short: sockets have long names
        self._started = 0
        self.nodes: list[Node] = []
        self.address = f"{self._net.address(0)}:{free_port()}"

    def __enter__(self) -> "RayNodes":
        try:
            self._start_head()
            for _ in range(self._workers):
                self._start_worker()
            self._wait_for(len(self.nodes))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def add(self) -> Node:
        """Start one more worker node and wait until the head knows it."""
        before = alive(self.address)
        node = self._start_worker()
        self._wait_for(before + 1)
        return node

    def kill(self, node: Node) -> None:
        """SIGKILL everything that runs on a node, as a power cut would."""
        self.nodes.remove(node)
        _kill(node)

    def cut(self, node: Node) -> None:
        """Unplug a node's network; only with namespaces."""
        self._net.plug(node.number, "down")

    def mend(self, node: Node) -> None:
        """Plug a node's network in again."""
        self._net.plug(node.number, "up")

    def stop(self) -> None:
        """End all nodes and remove their files and networks."""
        for node in self.nodes:
            _kill(node)
        self.nodes = []
        self._net.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start_head(self) -> None:
        dashboard = ["--include-dashboard=false"]
        if self._dashboard_port:
            dashboard = [
                *("--dashboard-host=127.0.0.1", f"--dashboard-port={self._dashboard_port}"),
                f"--dashboard-agent-listen-port={free_port()}",  # Ray's own may be taken
            ]
        port = self.address.rpartition(":")[2]
        self._start(["--head", f"--port={port}", *dashboard])

    def _start_worker(self) -> Node:
        return self._start([f"--address={self.address}"])

    def _start(self, arguments: list[str]) -> Node:
        number, self._started = self._started, self._started + 1
        node = Node(number, self._net.address(number), secrets.token_hex(8))
        self.nodes.append(node)
        command = [
            *self._net.enter(number),
            *(str(RAY), "start", "--block", f"--node-ip-address={node.address}"),
            *(f"--num-cpus={self._cpus}", f"--temp-dir={self._folder / str(number)}"),
            *("--object-store-memory=80000000", "--disable-usage-stats", *arguments),
        ]
        subprocess.Popen(
            command,
            env=os.environ | ENVIRONMENT | dict(self._health) | {"TOOLKIT_NODE": node.mark},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if number == 0:
            _wait_for_port(self.address)
        return node

    def _wait_for(self, count: int) -> None:
        deadline = time.monotonic() + _SECONDS
        while alive(self.address) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count} nodes did not start within {_SECONDS:g} s")
            time.sleep(0.2)


class _Loopback:
    """Addresses 127.0.0.1, 127.0.0.2, ...: all of them reach this machine."""

    def address(self, number: int) -> str:
        return f"127.0.0.{number + 1}"

    def enter(self, number: int) -> list[str]:
        return []

    def plug(self, number: int, state: str) -> None:
        raise ValueError("a loopback address cannot be cut off; use namespaces=True")

    def close(self) -> None:
        pass


class _Bridge:
    """A bridge with this machine, the head, as .1 and a namespace a worker node."""

    def __init__(self) -> None:
        first, second = secrets.randbelow(56) + 200, secrets.randbelow(254) + 1
        self._subnet, self._name = f"10.{first}.{second}", f"tk{secrets.token_hex(3)}"
        self._made, self._spaces = [self._name], set[str]()
        _ip("link", "add", self._name, "type", "bridge")
        _ip("address", "add", f"{self._subnet}.1/24", "dev", self._name)
        _ip("link", "set", self._name, "up")

    def address(self, number: int) -> str:
        return f"{self._subnet}.{number + 1}"

    def enter(self, number: int) -> list[str]:
        """A command's beginning that makes it run in the node's namespace."""
        if number == 0:
            return []
        space, outer, inner = (f"{self._name}{letter}{number}" for letter in "nop")
        _ip("netns", "add", space)
        self._spaces.add(space)
        self._made += [space, outer]
        _ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", space)
        _ip("link", "set", outer, "master", self._name, "up")
        _ip("-n", space, "address", "add", f"{self.address(number)}/24", "dev", inner)
        _ip("-n", space, "link", "set", inner, "up")
        _ip("-n", space, "link", "set", "lo", "up")
        return ["ip", "netns", "exec", space]

    def plug(self, number: int, state: str) -> None:
        _ip("link", "set", f"{self._name}o{number}", state)

    def close(self) -> None:
        for name in reversed(self._made):  # links too: by themselves they outlive their namespace
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns" if name in self._spaces else "link", "delete", name)


@cache
def namespaces_allowed() -> bool:
    """Whether this process may make network namespaces."""
    if os.geteuid() or not shutil.which("ip"):
        return False
    try:
        bridge = _Bridge()
        try:
            bridge.enter(1)
        finally:
            bridge.close()
    except subprocess.CalledProcessError:
        return False
    return True


def marked(mark: str) -> list[int]:
    """Ids of the processes that have `mark`, 'NAME=value', in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def alive(address: str) -> int:
    """Nodes that the head at `address` believes alive."""
    return len(list(living(address)))


def living(address: str) -> Iterator[str]:
    """Their addresses."""
    from ray._raylet import GcsClient

    for info in GcsClient(address=address).get_all_node_info(timeout=5).values():
        if info.state == 0:
            yield info.node_manager_address


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _kill(node: Node) -> None:
    deadline = time.monotonic() + _SECONDS
    while (processes := node.processes()) and time.monotonic() < deadline:
        for process in processes:  # again, for those that were just being started
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)


def _wait_for_port(address: str) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"no Ray head at {address} within {_SECONDS:g} s")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
