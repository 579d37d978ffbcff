"""The facts of this machine, read in well under a second and without importing a framework."""

import contextlib
import datetime
import importlib.metadata
import locale
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from toolkit.doctor.facts import Disk, Facts, Gpu
from toolkit.doctor.network import PORTS
from toolkit.doctor.packages import PACKAGE
from toolkit.doctor.versions import normal

_ASKED = (  # whose requirements of other packages are compared with what is installed
    *("ai-edge-litert", "ai-edge-quantizer", "keras", "litert-torch", "onnx", "onnxruntime"),
    *("onnxscript", "ray", "tensorboard", "tensorflow", "tf2onnx", "torch"),
)
_SMI_SECONDS = 5.0
_UNLIMITED = 1 << 60
_SMI = ("--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits")


def gather(runs_dir: Path) -> Facts:
    """Look at this machine; `runs_dir` is where runs are written."""
    versions = _versions()
    gpus, gpu_error = _gpus()
    memory, free = _memory()
    disks = {"runs": runs_dir, "tmp": Path(tempfile.gettempdir()), "cache": _cache()}
    return Facts(
        python=sys.version_info[:3],
        versions=versions,
        requirements=_requirements(PACKAGE),
        required_by={name: _requirements(name) for name in _ASKED if name in versions},
        machine=platform.machine(),
        cpu_flags=_cpu_flags(_text("/proc/cpuinfo")),
        cpus=os.cpu_count() or 1,
        allowed_cpus=len(os.sched_getaffinity(0)),
        cpu_quota=_cpu_quota(),
        environment=dict(os.environ),
        gpus=gpus,
        gpu_error=gpu_error,
        memory=memory,
        memory_free=free,
        shared_memory=_space("/dev/shm") if Path("/dev/shm").is_dir() else None,  # noqa: S108
        disks={use: _disk(path) for use, path in disks.items()},
        ray_running=_ray_running(),
        busy_ports=tuple(port for port in PORTS if _is_busy(port)),
        encoding=_encoding(),
        container=_container(),
        year=datetime.datetime.now(datetime.UTC).year,
        clock_ahead=_clock_ahead(_existing(runs_dir)),
    )


def _versions() -> dict[str, str]:
    """All installed packages, by the names of their metadata folders: opening each is slow."""
    found = dict[str, str]()
    for folder in map(Path, sys.path):
        for metadata in folder.glob("*.dist-info") if folder.is_dir() else ():
            name, _, version = metadata.name.removesuffix(".dist-info").partition("-")
            found.setdefault(normal(name), version)
    return found


def _requirements(package: str) -> tuple[str, ...]:
    try:
        return tuple(importlib.metadata.requires(package) or ())
    except importlib.metadata.PackageNotFoundError:
        return ()


def _text(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace")
    return ""


def _cpu_flags(cpuinfo: str) -> frozenset[str]:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def _cpu_quota() -> float | None:
    """CPUs that the cgroup grants; version 2, then 1."""
    quota, _, period = _text("/sys/fs/cgroup/cpu.max").partition(" ")
    if not quota:
        quota = _text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
        period = _text("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except ValueError:  # 'max', or nothing
        return None


def _memory() -> tuple[int, int]:
    """All and free memory in bytes, of the machine or of the container."""
    lines = (line.partition(":") for line in _text("/proc/meminfo").splitlines())
    kilobytes = {name: int(value.split()[0]) for name, _, value in lines if value.strip()}
    total = kilobytes.get("MemTotal", 0) * 1024
    free = kilobytes.get("MemAvailable", 0) * 1024
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        most, now = _text(limit).strip(), _text(used).strip()
        if most.isdecimal() and now.isdecimal() and int(most) < min(_UNLIMITED, total):
            return int(most), min(free, int(most) - int(now))
    return total, free


def _gpus() -> tuple[tuple[Gpu, ...], str]:
    """GPUs, and why they cannot be listed."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return (), ""
    try:
        done = subprocess.run(  # noqa: S603 - found on PATH, fixed arguments
            [program, *_SMI], capture_output=True, text=True, timeout=_SMI_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return (), str(error)
    if done.returncode:
        told = (done.stdout + done.stderr).strip() or f"exit code {done.returncode}"
        return (), told.splitlines()[-1][:200]
    return parse_gpus(done.stdout), ""


def parse_gpus(listed: str) -> tuple[Gpu, ...]:
    """GPUs out of what nvidia-smi prints: name, driver, megabytes."""
    rows = [[cell.strip() for cell in line.split(",")] for line in listed.splitlines()]
    return tuple(
        Gpu(row[0], row[1], int(row[2]) if row[2].isdecimal() else 0)
        for row in rows
        if len(row) == 3
    )


def _existing(path: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    path = path.absolute()
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def _space(path: str | Path) -> int:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(path).total
    return 0


def _disk(path: Path) -> Disk:
    folder = _existing(path)
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryFile(dir=folder):
            return Disk(str(path), free, writable=True)
    except OSError:
        return Disk(str(path), 0, writable=False)


def _cache() -> Path:
    """Where streams are recorded, as `toolkit.data.cache` has it."""
    own, shared = os.environ.get("TOOLKIT_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    return Path(own) if own else Path(shared or Path.home() / ".cache") / "toolkit"


def _ray_running() -> bool:
    return any(
        _text(str(comm)).strip() in ("gcs_server", "raylet")
        for comm in Path("/proc").glob("[0-9]*/comm")
    )


def _is_busy(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False


def _encoding() -> str:
    """Of file names, or of files and output where that one is not UTF-8."""
    names, content = sys.getfilesystemencoding(), locale.getencoding()
    return names if "utf" not in names.lower() or sys.flags.utf8_mode else content


def _container() -> str:
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    for mark, name in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
        if Path(mark).exists():
            return name
    return ""


def _clock_ahead(folder: Path) -> float:
    """Seconds between this machine's clock and that of the disk, which another may keep."""
    with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(dir=folder) as file:
        return Path(file.name).stat().st_mtime - time.time()
    return 0.0
