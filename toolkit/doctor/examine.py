"""All checks in order."""

from collections.abc import Callable, Iterator

from toolkit.doctor import deep, machine, network, packages, places
from toolkit.doctor.facts import Facts
from toolkit.doctor.finding import Finding

CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    packages.python,
    packages.extras,
    packages.conflicts,
    packages.combinations,
    machine.features,
    machine.cpus,
    machine.threads,
    machine.gpus,
    machine.memory,
    places.disks,
    network.ray,
    network.ports,
    network.proxy,
    machine.surroundings,
)


def examine(facts: Facts, *, imports: bool = False) -> Iterator[Finding]:
    """Findings one by one; with `imports`, frameworks are imported in child processes too."""
    for check in CHECKS:
        yield from check(facts)
    if imports:
        yield from deep.imports(facts)
