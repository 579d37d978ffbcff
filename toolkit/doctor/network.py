"""Checks of Ray: whether it runs here already, and its ports."""

from collections.abc import Iterator

from toolkit.doctor.facts import Facts
from toolkit.doctor.finding import OK, WARNING, Finding

PORTS = {6379: "Ray's head", 8265: "Ray's dashboard"}


def ray(facts: Facts) -> Iterator[Finding]:
    """A Ray node on this machine."""
    told = (
        "a node runs here: of a training, or of a cluster for --address auto"
        if facts.ray_running
        else "no node runs here"
    )
    yield Finding("Ray", OK, told)


def ports(facts: Facts) -> Iterator[Finding]:
    """Ports that `ray start --head` listens at."""
    taken = [port for port in facts.busy_ports if port in PORTS]
    if facts.ray_running or not taken:
        shown = ", ".join(map(str, PORTS))
        yield Finding("ports", OK, f"{shown} " + ("are Ray's" if facts.ray_running else "are free"))
        return
    told = " and ".join(f"{port} ({PORTS[port]})" for port in taken)
    fix = "matters to a cluster alone: ray start --head --port=6380 --dashboard-port=8266"
    yield Finding("ports", WARNING, f"{told} taken by another program", fix)


def proxy(facts: Facts) -> Iterator[Finding]:
    """A proxy that would be asked for this machine's own addresses."""
    names = {name.lower() for name in facts.environment}
    if "http_proxy" in names and "no_proxy" not in names:
        fix = "export no_proxy=localhost,127.0.0.1"
        yield Finding("proxy", WARNING, "http_proxy is set without no_proxy", fix)
