"""The command `info`: what a bundle holds and who signed it, and what this device has to run it."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edge.errors import InputError
from edge.opening import open_bundle

RUNTIMES = {
    "ai_edge_litert": "ai-edge-litert",
    "tflite_runtime": "tflite-runtime",
    "onnxruntime": "onnxruntime",
}
"""Module -> package."""
_CPU_KEYS = ("model name", "Model", "Hardware", "CPU part")
_FEATURE_KEYS = ("flags", "Features")
_TELLING = (
    "neon", "asimd", "asimddp", "asimdhp", "i8mm", "sve", "sve2", "bf16", "vfpv4",
    "sse4_1", "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni",
)  # fmt: skip
"""The features of a processor that runtimes have kernels for."""


def info(options: SimpleNamespace) -> int:
    """The command; raises BundleError for a bundle that is damaged or not trusted."""
    if len(options.more) > 1:
        raise InputError(f"{options.more[1]!r} is one argument too many")
    told: dict[str, Any] = {"device": device()}
    for path in options.more:
        told["bundle"] = _bundle(path, options)
    print(json.dumps(told) if options.json else "\n".join(_lines(told)))
    return 0


def device() -> dict[str, Any]:
    """What this device has: nothing is imported for it."""
    cpu, features = _cpu()
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(terse=True),
        "cpu": cpu,
        "cpu_features": features,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_mb": _memory(),
        "numpy": _version("numpy", "numpy"),
        "pillow": _version("PIL", "pillow"),
        "runtimes": {package: _version(name, package) for name, package in RUNTIMES.items()},
    }


def _version(module: str, package: str) -> str | None:
    """The version of what is installed; "unknown" where a copy has none; None if nothing is."""
    if find_spec(module) is None:
        return None
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _cpu() -> tuple[str, list[str]]:
    """Name and telling features of the processor, as the kernel has them."""
    rows = _rows("/proc/cpuinfo")
    name = next((rows[key] for key in _CPU_KEYS if rows.get(key)), platform.processor())
    flags = next((rows[key].split() for key in _FEATURE_KEYS if key in rows), [])
    return name, [flag for flag in _TELLING if flag in flags]


def _memory() -> dict[str, int]:
    rows = _rows("/proc/meminfo")
    keys = {"total": "MemTotal", "available": "MemAvailable"}
    return {k: int(rows[name].split()[0]) >> 10 for k, name in keys.items() if name in rows}


def _rows(path: str) -> dict[str, str]:
    """The lines `key : value` of a file, the first of each key; none where there is no file."""
    rows: dict[str, str] = {}
    try:
        text = Path(path).read_text("utf-8", "replace")
    except OSError:
        return rows
    for line in text.splitlines():
        key, _, value = line.partition(":")
        rows.setdefault(key.strip(), value.strip())
    return rows


def _bundle(path: str, options: SimpleNamespace) -> dict[str, Any]:
    bundle = open_bundle(path, options)
    value = bundle.manifest.value
    told = {key: value[key] for key in ("name", "version", "created", "verified")}
    told["signed_by"] = list(bundle.signed_by)
    keys = ("verification", "lineage", "needs", "decision", "labels", "golden")
    told.update({key: value[key] for key in keys})
    told["models"] = [
        {**{key: item[key] for key in ("member", "target", "precision", "framework")},
         **{key: item["manifest"][key] for key in ("inputs", "outputs")}}
        for item in value["models"]
    ]  # fmt: skip
    told["members"] = [
        {k: m[k] for k in ("name", "kind", "size", "sha256")} for m in value["members"]
    ]
    return told


def _lines(told: dict[str, Any]) -> list[str]:
    lines = _device_lines(told["device"])
    return [*_bundle_lines(told["bundle"]), "", *lines] if "bundle" in told else lines


def _device_lines(device: dict[str, Any]) -> list[str]:
    memory = device["memory_mb"]
    rows = [
        ("python", f"{device['python']} on {device['system']}"),
        ("processor", f"{device['cpu']}, {device['machine']}, {device['cores']} core(s) for us"),
        ("features", " ".join(device["cpu_features"]) or "not known"),
        ("memory", f"{memory.get('available', '?')} of {memory.get('total', '?')} MB available"),
    ]
    found = {"numpy": device["numpy"], **device["runtimes"], "pillow": device["pillow"]}
    rows += [(name, version or "not installed") for name, version in found.items()]
    return [f"{name.ljust(16)}{text}" for name, text in rows]


def _bundle_lines(told: dict[str, Any]) -> list[str]:
    rows = [
        ("bundle", f"{told['name']} {told['version']}"),
        ("signed by", ", ".join(told["signed_by"]) or "nobody who was asked for"),
        ("verified", "yes" if told["verified"] else "NO"),
        ("decision", f"{told['decision']}"),
    ]
    rows += [("lineage", f"{key}: {json.dumps(value)}") for key, value in told["lineage"].items()]
    rows += [("needs", f"{key}: {json.dumps(value)}") for key, value in told["needs"].items()]
    for model in told["models"]:
        rows.append(("model", f"{model['member']}  {model['precision']}  by {model['framework']}"))
    sizes = [(each["kind"], f"{each['name']}  {each['size']} bytes") for each in told["members"]]
    return [
        f"{name.ljust(16)}{text}" for name, text in rows + [r for r in sizes if r[0] != "model"]
    ]
