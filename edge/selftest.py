"""The command `selftest`: does this device compute what was trained, and fast enough?

The golden vectors of a bundle are replayed by each model whose runtime is installed, in a child
process of its own (selftest_child.py) with limits of time and memory. Whatever happens to the child
(a crash, an illegal instruction, a hang) is a verdict here, and never the end of this process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import edge
from edge.errors import BrokenRuntimeError, ModelError
from edge.opening import open_bundle
from edge.runtime import choose

PASSED = "passed"
SKIPPED = "no runtime"
_POLL_SECONDS = 0.02
_SHOWN = 500  # characters of what the child wrote last


@dataclass(frozen=True)
class Verdict:
    """What became of one model.

    verdict  "passed", "no runtime" (not tested), or what is wrong: "wrong answer", "too slow",
             "crash", "illegal instruction", "hang", "out of memory", "error"
    detail   what is known about it
    facts    error, limit, agreement, samples, p50_ms, p90_ms, peak_mb, where they were measured
    """

    model: str
    verdict: str
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def selftest(options: SimpleNamespace) -> int:
    """The command: 0 if all models that could be tested passed, 1 if one did not.

    Raises BundleError, ModelError without golden vectors, and BrokenRuntimeError if no model could
    be tested.
    """
    bundle = open_bundle(options.path, options)
    if bundle.manifest.golden is None:
        raise ModelError(f"{options.path}: has no golden vectors; make the bundle with them")
    chosen = choose(bundle, name=options.model or "", precision=options.precision or "")
    verdicts = [replay(options, entry.member) for entry in chosen]
    if all(each.verdict == SKIPPED for each in verdicts):
        raise BrokenRuntimeError(verdicts[0].detail)
    ok = all(each.verdict in (PASSED, SKIPPED) for each in verdicts)
    if options.json:
        models = [
            {"model": v.model, "verdict": v.verdict, "detail": v.detail, **v.facts}
            for v in verdicts
        ]
        print(json.dumps({"bundle": options.path, "passed": ok, "models": models}))
    else:
        print("\n".join(_table(verdicts)))
    return 0 if ok else 1


def replay(options: SimpleNamespace, member: str) -> Verdict:
    """Replay the golden vectors with one model of a bundle in a child process.

    options: path, keys, allow_unsigned, threads, budget_ms, timeout (seconds), memory_mb, debug; as
    the command has them.
    """
    limit = (options.memory_mb or _available_mb()) << 20
    asked = {
        "path": options.path,
        "member": member,
        "keys": options.keys,
        "allow_unsigned": options.allow_unsigned,
        "threads": options.threads,
        "budget_ms": options.budget_ms,
        "memory": limit,
        "cpu_seconds": int(options.timeout * options.threads) + 2,
    }
    with _started(asked) as child:
        watch = _Watch(child, limit, time.monotonic() + options.timeout)
        out, err = child.communicate()
        watch.join()
    if options.debug:
        sys.stderr.write(err)
    return _verdict(member, _events(out), err.strip()[-_SHOWN:], child.returncode, watch.stopped)


def _started(asked: Mapping[str, Any]) -> subprocess.Popen[str]:
    """The child: this interpreter, this edge (a folder or a zipapp), this module path."""
    root = str(Path(edge.__file__).resolve().parents[1])
    path = [root, *(os.path.abspath(p) for p in sys.path if p)]  # noqa: PTH100
    code = (
        "import json, sys\n"
        "asked = json.loads(sys.argv[1])\n"
        "sys.path[:] = asked['sys_path']\n"
        "from edge.selftest_child import main\n"
        "main(asked)\n"
    )
    flags = ["-I"] if sys.flags.isolated else []
    flags += ["-S"] if sys.flags.no_site else []
    return subprocess.Popen(  # noqa: S603 - this very program
        [sys.executable, *flags, "-c", code, json.dumps({**asked, "sys_path": path})],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


class _Watch(threading.Thread):
    """Kills the child that takes too long or too much memory, and says why in `stopped`."""

    def __init__(self, child: subprocess.Popen[str], limit: int, end: float) -> None:
        super().__init__(daemon=True)
        self.stopped = ""
        self._child, self._limit, self._end = child, limit, end
        self.start()

    def run(self) -> None:
        while self._child.poll() is None:
            if time.monotonic() > self._end:
                self.stopped = "hang"
            elif _resident(self._child.pid) > self._limit:
                self.stopped = "out of memory"
            if self.stopped:
                self._child.kill()
                return
            time.sleep(_POLL_SECONDS)


def _resident(pid: int) -> int:
    """Resident bytes of a process; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _available_mb() -> int:
    """Memory that can be had without swapping, in MB; without limit where it is not known."""
    try:
        rows = Path("/proc/meminfo").read_text("ascii").splitlines()
        return int(next(row for row in rows if row.startswith("MemAvailable")).split()[1]) >> 10
    except (OSError, StopIteration, IndexError, ValueError):
        return 1 << 20


def _events(out: str) -> list[dict[str, Any]]:
    """The lines that the child wrote; the last one may be cut off."""
    events = []
    for line in out.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:  # noqa: PERF203 - cut off
            break
    return events


def _verdict(
    member: str, events: list[dict[str, Any]], err: str, code: int, stopped: str
) -> Verdict:
    last = events[-1] if events else {}
    if "verdict" in last and not stopped:
        facts = last.get("facts", {})
        return Verdict(member, last["verdict"], last.get("detail", ""), facts)
    where = f"while it {last.get('stage', 'started')}"
    if stopped:
        return Verdict(member, stopped, f"stopped {where}")
    if "bad_alloc" in err or "MemoryError" in err:
        return Verdict(member, "out of memory", where)
    if code >= 0:
        return Verdict(member, "error", f"ended with {code} {where}: {err}")
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    kinds = {"SIGILL": "illegal instruction", "SIGKILL": "out of memory", "SIGXCPU": "hang"}
    hint = {
        "SIGILL": "; the processor lacks what the runtime was built for: use another release",
        "SIGKILL": "; the system killed it, which it does when memory runs out",
    }
    return Verdict(member, kinds.get(name, "crash"), f"{name} {where}{hint.get(name, '')}")


def _table(verdicts: list[Verdict]) -> list[str]:
    rows = [("model", "verdict", "error", "limit", "agreement", "p90 ms", "peak MB")]
    keys = ("error", "limit", "agreement", "p90_ms", "peak_mb")
    for each in verdicts:
        values = [each.facts.get(key) for key in keys]
        cells = ["-" if value is None else f"{value:.3g}" for value in values]
        rows.append((each.model, each.verdict, *cells))  # type: ignore[arg-type]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in rows]
    return lines + [f"{each.model}: {each.detail}" for each in verdicts if each.detail]
