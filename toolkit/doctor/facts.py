"""What is known of a machine, as plain values: checks take nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Gpu:
    """A GPU as nvidia-smi names it."""

    name: str
    driver: str
    memory_mb: int


@dataclass(frozen=True)
class Disk:
    """A folder, the space left on its file system, and whether it can be written."""

    path: str
    free: int
    writable: bool


@dataclass(frozen=True)
class Facts:
    """Facts of one machine; the defaults are those of a good one, for tests to spoil.

    Attributes:
        python: version, such as (3, 12, 4).
        versions: of installed packages, by name in lower case with '-'.
        requirements: of this package, as its metadata state them, with extras.
        required_by: what installed packages need of others, as their metadata state it.
        machine: such as 'x86_64'.
        cpu_flags: of /proc/cpuinfo.
        cpus: of the machine.
        allowed_cpus: that this process may run on.
        cpu_quota: CPUs that a cgroup grants, or None for no limit.
        environment: environment variables.
        gpus: what nvidia-smi lists.
        gpu_error: what nvidia-smi said when it failed, or ''.
        memory: bytes that this machine or container may use.
        memory_free: bytes that are free for use.
        shared_memory: bytes of /dev/shm, or None where there is none.
        disks: by use, such as 'runs'.
        ray_running: whether a Ray node runs here.
        busy_ports: which of Ray's ports are taken.
        encoding: of file names and standard output.
        container: 'docker', 'kubernetes', ... or ''.
        year: of the clock.
        clock_ahead: seconds by which a file written just now lies in the future.
    """

    python: tuple[int, int, int] = (3, 12, 4)
    versions: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()
    required_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    machine: str = "x86_64"
    cpu_flags: frozenset[str] = frozenset({"avx2", "fma"})
    cpus: int = 4
    allowed_cpus: int = 4
    cpu_quota: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[Gpu, ...] = ()
    gpu_error: str = ""
    memory: int = 16 * 10**9
    memory_free: int = 12 * 10**9
    shared_memory: int | None = 8 * 10**9
    disks: Mapping[str, Disk] = field(default_factory=dict)
    ray_running: bool = False
    busy_ports: tuple[int, ...] = ()
    encoding: str = "utf-8"
    container: str = ""
    year: int = 2030
    clock_ahead: float = 0.0
