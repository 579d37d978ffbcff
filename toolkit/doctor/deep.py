"""Whether each framework can be imported: in a child process of its own, with a time limit."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from toolkit.doctor.facts import Facts
from toolkit.doctor.finding import OK, PROBLEM, Finding
from toolkit.hosts import describe_exit

MODULES = {
    "tensorflow": "tensorflow",
    "keras": "keras",
    "torch": "torch",
    "ray": "ray",
    "litert-torch": "litert_torch",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "ai-edge-litert": "ai_edge_litert.interpreter",
}
_SECONDS = 120.0
_AT_ONCE = 2


def imports(facts: Facts, seconds: float = _SECONDS) -> Iterator[Finding]:
    """Import each installed framework."""
    installed = [package for package in MODULES if package in facts.versions]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(
            lambda package: try_import(package, MODULES[package], seconds), installed
        )


def try_import(package: str, module: str, seconds: float) -> Finding:
    """Import one module in a fresh interpreter."""
    check, fix = f"import {module}", f"pip install --force-reinstall --no-deps {package}"
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    begun = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603 - a module of MODULES
            [sys.executable, "-c", f"import {module}"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env=os.environ | quiet,
            check=False,
        )
    except subprocess.TimeoutExpired:
        told = f"not done after {seconds:g} s"
        return Finding(check, PROBLEM, told, "look at the disk and at the machine's load")
    if done.returncode == 0:
        return Finding(check, OK, f"{time.monotonic() - begun:.1f} s")
    last = (done.stderr.strip().splitlines() or [""])[-1][:200]
    return Finding(check, PROBLEM, f"{describe_exit(done.returncode)}: {last}", fix)
