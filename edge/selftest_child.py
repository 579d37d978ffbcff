"""The child of the self-test: replays golden vectors with one model under limits.

Writes a JSON line before each stage, so that the parent knows where it ended, and one with the
verdict at the end. The parent is selftest.py.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TextIO

from edge.errors import BrokenRuntimeError, EdgeError, InputError

if TYPE_CHECKING:
    import numpy as np

    from edge.bundle import Bundle
    from edge.model import Model

_INPUT, _OUTPUT = "inputs.", "outputs."  # how arrays of golden vectors are named
_UNTOUCHED = 512 << 20
"""Stacks of threads and the like, which are reserved and never used: the limit of memory is for
what is resident, which the parent looks at; this one stops a single huge allocation."""
_BATCH = 32  # golden samples at a time, where the file leaves it free
_LATENCY_RUNS = 200
_LATENCY_SECONDS = 2.0


def main(asked: Mapping[str, Any]) -> None:
    """Replay as the parent asked."""
    out = _own_stdout()
    _limit(asked["memory"], asked["cpu_seconds"])
    try:
        result = _replay(SimpleNamespace(**asked), out)
    except MemoryError:
        result = {"verdict": "out of memory", "detail": "an allocation failed"}
    except EdgeError as error:
        result = {"verdict": _kind(error), "detail": str(error)}
    _say(out, result)


def _kind(error: EdgeError) -> str:
    if isinstance(error, BrokenRuntimeError) and isinstance(
        error.__cause__, (ImportError, OSError)
    ):
        return "no runtime"
    memory = isinstance(error.__cause__, MemoryError) or "bad_alloc" in str(error)
    return "out of memory" if memory else "error"


def _own_stdout() -> TextIO:
    """Where the events go; what a runtime prints to stdout goes to stderr instead."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _say(out: TextIO, event: Mapping[str, Any]) -> None:
    out.write(json.dumps(event) + "\n")
    out.flush()


def _limit(memory: int, cpu_seconds: int) -> None:
    """Let the system stop what goes wrong, too: the parent may be gone, or look too late."""
    try:
        import resource
    except ImportError:  # not a Unix system
        return
    data = memory + _UNTOUCHED
    for limit, value in ((resource.RLIMIT_DATA, data), (resource.RLIMIT_CPU, cpu_seconds)):
        hard = resource.getrlimit(limit)[1]
        if hard == resource.RLIM_INFINITY or value < hard:
            resource.setrlimit(limit, (value, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _replay(asked: SimpleNamespace, out: TextIO) -> dict[str, Any]:
    from edge.closeness import compared
    from edge.opening import open_bundle
    from edge.runtime import choose, load_from_bundle

    _say(out, {"stage": "opened the bundle"})
    bundle = open_bundle(asked.path, asked)
    entry = choose(bundle, name=asked.member)[0]
    _say(out, {"stage": "loaded the model"})
    model = load_from_bundle(bundle, entry, asked.path, threads=asked.threads)
    inputs, expected = _golden(bundle)
    _say(out, {"stage": "replayed the golden vectors"})
    assert bundle.manifest.golden is not None
    stated = bundle.manifest.golden.tolerances[asked.member]
    outputs, count = _outputs(model, inputs)
    expected = {name: array[:count] for name, array in expected.items()}
    assert model.manifest is not None
    decision = model.manifest.decision
    facts, problem = compared(stated, expected, outputs, model.outputs[0].name, decision)
    if problem:
        return {"verdict": "wrong answer", "detail": problem, "facts": facts}
    _say(out, {"stage": "measured latency"})
    facts.update(_latency(model, inputs), peak_mb=_peak_mb())
    if asked.budget_ms and facts["p90_ms"] > asked.budget_ms:
        detail = f"p90 is {facts['p90_ms']:.3g} ms, the budget {asked.budget_ms:g} ms"
        return {"verdict": "too slow", "detail": detail, "facts": facts}
    return {"verdict": "passed", "facts": facts}


def _golden(bundle: Bundle) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Raw inputs and expected outputs by name."""
    arrays = bundle.golden() or {}
    inputs, outputs = (
        {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
        for prefix in (_INPUT, _OUTPUT)
    )
    if not inputs or not outputs:
        raise InputError(
            f"golden vectors: holds {', '.join(arrays)}; expected {_INPUT}NAME and {_OUTPUT}NAME\n"
            "make the bundle again"
        )
    return inputs, outputs


def _outputs(model: Model, inputs: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], int]:
    """What the model answers, and for how many samples: whole batches where the file fixes one."""
    import numpy as np

    from edge.answer import prepare

    total, size = min(len(array) for array in inputs.values()), _batch(model, _BATCH)
    if _batch(model, 0):
        total -= total % size
    if not total:
        raise InputError(f"golden vectors: too few samples for a batch of {size}")
    parts = [
        model.predict(prepare(model, {n: a[i : min(i + size, total)] for n, a in inputs.items()}))
        for i in range(0, total, size)
    ]
    return {n: np.concatenate([np.atleast_1d(p[n]) for p in parts]) for n in parts[0]}, total


def _batch(model: Model, free: int) -> int:
    """The batch that the file fixes, or `free`."""
    return next((t.shape[0] for t in model.inputs if t.shape and t.shape[0]), free)


def _latency(model: Model, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Of one sample (or the batch that the file fixes), preprocessing included, in milliseconds."""
    import numpy as np

    from edge.answer import answer

    sample = {name: array[: _batch(model, 1)] for name, array in inputs.items()}
    times: list[float] = []
    end = time.perf_counter() + _LATENCY_SECONDS
    while len(times) < 2 or (len(times) < _LATENCY_RUNS and time.perf_counter() < end):
        start = time.perf_counter()
        answer(model, sample)
        times.append((time.perf_counter() - start) * 1e3)
    # The first run plans memory for this batch size.
    p50, p90 = (float(value) for value in np.percentile(times[1:], [50, 90]))
    return {"p50_ms": p50, "p90_ms": p90}


def _peak_mb() -> float | None:
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if os.uname().sysname == "Darwin" else 1 << 10)
