"""Checks of CPUs, threads, GPUs, memory, encoding and clock."""

from collections.abc import Iterator

from toolkit.doctor.facts import Facts
from toolkit.doctor.finding import OK, PROBLEM, WARNING, Finding

_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
_GB = 10**9
_SHM = "shared memory"
_LEAST_MEMORY = 4 * _GB
_RAY_SHARE = 0.3  # of the memory, that Ray takes for its object store in /dev/shm
_OLDEST_DRIVER = 525  # of CUDA 12
_FIRST_YEAR = 2025
_CLOCK_SECONDS = 5.0


def features(facts: Facts) -> Iterator[Finding]:
    """CPU features that the wheels of TensorFlow and PyTorch are compiled for."""
    if facts.machine in ("aarch64", "arm64"):
        yield Finding("CPU features", OK, f"{facts.machine}, which has NEON")
        return
    if facts.machine != "x86_64":
        fix = "train on x86_64 or aarch64; edge/ runs wherever numpy and a runtime do"
        yield Finding("CPU features", WARNING, f"{facts.machine}: few wheels are made for it", fix)
        return
    if not facts.cpu_flags:
        yield Finding("CPU features", WARNING, "/proc/cpuinfo says nothing of them")
        return
    wide = [flag for flag in ("avx", "avx2", "fma", "avx512f") if flag in facts.cpu_flags]
    shown = f"x86_64 with {', '.join(wide) or 'none of avx, avx2, fma'}"
    if not {"avx2", "fma"} & facts.cpu_flags and "avx" not in facts.cpu_flags:
        fix = "in a virtual machine, choose the host's CPU model; TensorFlow's wheels need AVX"
        yield Finding("CPU features", PROBLEM, shown, fix)
    elif not {"avx2", "fma"} <= facts.cpu_flags:
        fix = "in a virtual machine, choose the host's CPU model; training is slow without"
        yield Finding("CPU features", WARNING, shown, fix)
    else:
        yield Finding("CPU features", OK, shown)


def cpus(facts: Facts) -> Iterator[Finding]:
    """CPUs against affinity and cgroup: workers take as many as this process may run on."""
    shown = f"{facts.allowed_cpus} of {facts.cpus}"
    if facts.cpu_quota is not None and facts.cpu_quota < facts.allowed_cpus:
        whole = max(1, int(facts.cpu_quota))
        yield Finding(
            "CPUs",
            WARNING,
            f"{shown}, but the container grants the time of {facts.cpu_quota:g}",
            f"--workers {whole}, or start the container with --cpuset-cpus instead of --cpus",
        )
        return
    yield Finding("CPUs", OK, shown)


def threads(facts: Facts) -> Iterator[Finding]:
    """Thread variables; training divides CPUs among workers itself."""
    given = {name: facts.environment[name] for name in _THREADS if name in facts.environment}
    shown = ", ".join(f"{name}={value}" for name, value in given.items())
    for name, value in given.items():
        if not value.isdecimal() or (int(value) < 1 and name.startswith(("OMP", "MKL", "OPEN"))):
            yield Finding("threads", PROBLEM, f"{name}={value} is no count", f"unset {name}")
            return
    many = [name for name, value in given.items() if int(value) > facts.allowed_cpus]
    if many:
        told = f"{shown}: more than the {facts.allowed_cpus} CPUs there are"
        yield Finding("threads", WARNING, told, f"unset {' '.join(many)}")
        return
    yield Finding("threads", OK, shown or "no variable is set")


def gpus(facts: Facts) -> Iterator[Finding]:
    """What nvidia-smi lists, and whether frameworks are told to leave it alone."""
    if facts.gpu_error:
        fix = "look at nvidia-smi; load the driver, or start the container with --gpus all"
        yield Finding("GPUs", WARNING, f"nvidia-smi fails: {facts.gpu_error}", fix)
        return
    if not facts.gpus:
        yield Finding("GPUs", OK, "none; training uses CPUs")
        return
    first = facts.gpus[0]
    shown = f"{len(facts.gpus)} x {first.name}, driver {first.driver}"
    major = first.driver.split(".")[0]
    if facts.environment.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        fix = "unset CUDA_VISIBLE_DEVICES to use them"
        yield Finding("GPUs", WARNING, f"{shown}, hidden by CUDA_VISIBLE_DEVICES", fix)
    elif major.isdecimal() and int(major) < _OLDEST_DRIVER:
        told = f"{shown}: too old for CUDA 12, which the wheels use"
        yield Finding("GPUs", PROBLEM, told, f"install a driver from {_OLDEST_DRIVER} on")
    elif facts.versions.get("torch", "").endswith("+cpu"):
        fix = "pip install torch from PyPI, without the extra index of CPU builds"
        yield Finding("GPUs", WARNING, f"{shown}, but torch is the CPU build", fix)
    else:
        yield Finding("GPUs", OK, shown)


def memory(facts: Facts) -> Iterator[Finding]:
    """Memory, and /dev/shm for Ray's object store."""
    shown = f"{_gb(facts.memory_free)} free of {_gb(facts.memory)}"
    if facts.memory_free < _LEAST_MEMORY:
        fix = "end other programs, or train one framework at a time: --framework tf"
        yield Finding("memory", WARNING, f"{shown}; two frameworks want {_gb(_LEAST_MEMORY)}", fix)
    else:
        yield Finding("memory", OK, shown)
    if facts.shared_memory is None:
        fix = "mount a tmpfs at /dev/shm"
        yield Finding(_SHM, WARNING, "no /dev/shm: Ray keeps its objects on the disk", fix)
        return
    wanted = int(facts.memory * _RAY_SHARE)
    shown = _gb(facts.shared_memory)
    if facts.shared_memory < wanted:
        fix = f"docker run --shm-size={max(1, wanted // _GB)}g, or an emptyDir of medium Memory"
        told = f"{shown}: Ray wants {_gb(wanted)}, and takes the slower /tmp"
        yield Finding(_SHM, WARNING, told, fix)
    else:
        yield Finding(_SHM, OK, shown)


def surroundings(facts: Facts) -> Iterator[Finding]:
    """Encoding, container and clock."""
    if facts.encoding.lower().replace("-", "") != "utf8":
        fix = "export PYTHONUTF8=1, or LANG=C.UTF-8"
        yield Finding("encoding", PROBLEM, f"{facts.encoding}: names and logs break", fix)
    else:
        yield Finding("encoding", OK, facts.encoding)
    yield Finding("container", OK, facts.container or "none")
    if facts.year < _FIRST_YEAR or abs(facts.clock_ahead) > _CLOCK_SECONDS:
        wrong = f"the year is {facts.year}"
        if facts.year >= _FIRST_YEAR:
            wrong = f"the disk's clock is {facts.clock_ahead:+.0f} s off"
        fix = "set the clock (timedatectl, chrony): signatures and run names carry the time"
        yield Finding("clock", PROBLEM, wrong, fix)
    else:
        yield Finding("clock", OK, f"{facts.year}, and the same as the disk's")


def _gb(count: int) -> str:
    return f"{count / _GB:.1f} GB"
