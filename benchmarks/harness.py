"""What all benchmarks share: run commands, alternate with a peer, judge, print, write.

Machines are noisy, so nothing is compared with a figure from another day: ours and the peer run in
turns (A B A B), each pair gives one ratio, and the median of the ratios is judged.
"""

import argparse
import json
import os
import platform
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PYTHON = sys.executable
TOOLKIT = str(Path(sys.executable).with_name("toolkit"))

ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}  # all on the CPU, quietly
_TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Finished:
    """A command that ended well, and its wall time in seconds."""

    stdout: str
    wall: float


@dataclass(frozen=True)
class Target:
    """What a figure must reach: at least `limit`, or at most."""

    limit: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


@dataclass(frozen=True)
class Result:
    """One measured figure.

    Attributes:
        name: what was measured.
        unit: of `ours` and `peer`.
        ours: one value a run.
        peer: the peer's values, each measured right after ours of the same place; or empty.
        target: for the ratio ours / peer; for ours itself where there is no peer; or None.
        worst: judge the worst value instead of the median.
        note: anything a reader should know.
    """

    name: str
    unit: str
    ours: Sequence[float]
    peer: Sequence[float] = ()
    target: Target | None = None
    worst: bool = False
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """Ours divided by the peer's, pair by pair."""
        return [a / b for a, b in zip(self.ours, self.peer, strict=True)] if self.peer else []

    @property
    def value(self) -> float:
        """The figure that is judged."""
        values = self.ratios or self.ours
        if self.worst and self.target is not None:
            return min(values) if self.target.at_least else max(values)
        return statistics.median(values)

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None where there is none."""
        return None if self.target is None else self.target.met(self.value)

    @property
    def undecided(self) -> bool:
        """Whether runs disagree on the target: more pairs on a quieter machine must decide."""
        if self.target is None or self.worst:
            return False
        return len({self.target.met(value) for value in self.ratios or self.ours}) > 1


@dataclass(frozen=True)
class Options:
    """How much to measure.

    Attributes:
        pairs: how often ours and the peer run in turns.
        quick: the short form, which shows that everything works and judges nothing.
    """

    pairs: int = 3
    quick: bool = False


Measure = Callable[[Options], list[Result]]


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Finished:
    """Run a command in the repository's root to its end.

    Raises:
        RuntimeError: it failed; tells its last lines.
    """
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | ENVIRONMENT | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    wall = time.perf_counter() - start
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{last}")
    return Finished(done.stdout, wall)


def run_together(command: Sequence[str], environments: Sequence[Mapping[str, str]]) -> list[str]:
    """Run a command once for each environment, all at the same time; return what they print."""
    with ThreadPoolExecutor(len(environments)) as pool:
        return [done.stdout for done in pool.map(lambda env: run(command, env), environments)]


def cpu_seconds(command: Sequence[str]) -> float:
    """CPU time, user and system, of a command and the children that it waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_turns(measures: Sequence[Callable[[], float]], rounds: int) -> list[list[float]]:
    """Measure everything in turns, `rounds` times; return the values of each."""
    values = []
    for _ in range(rounds):
        values.append([measure() for measure in measures])
        say("  " + "  ".join(f"{value:.4g}" for value in values[-1]))
    return [list(column) for column in zip(*values, strict=True)]


def alternate(
    ours: Callable[[], float], peer: Callable[[], float], pairs: int
) -> tuple[list[float], list[float]]:
    """Measure ours and the peer in turns, `pairs` times."""
    mine, theirs = in_turns([ours, peer], pairs)
    return mine, theirs


@contextmanager
def runs_dir() -> Iterator[str]:
    """A fresh folder for run directories."""
    with tempfile.TemporaryDirectory(prefix="bench-runs-") as folder:
        yield folder


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def say(text: str) -> None:
    """Tell on stderr what is being measured."""
    print(text, file=sys.stderr, flush=True)


def table(results: Sequence[Result], judged: bool = True) -> str:
    """Results as plain text: medians, the ratio with its range, target and verdict."""
    rows = [("name", "ours", "peer", "ratio", "range", "n", "target", "verdict")]
    rows += [_cells(result, judged) for result in results]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines + [f"{each.name}: {each.note}" for each in results if each.note])


def main(measure: Measure, description: str) -> int:
    """Command line of one benchmark or of all; return the exit code.

    0 where all targets were met, 1 where one was missed; always 0 with --quick.
    """
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=3, help="runs of ours and peer (default 3)")
    parser.add_argument("--quick", action="store_true", help="short, one pair, judges nothing")
    parser.add_argument("--out", type=Path, help="write the results to this JSON file")
    given = parser.parse_args()
    options = Options(1 if given.quick else given.pairs, given.quick)
    before = os.getloadavg()[0]
    results = measure(options)
    machine = _machine() | {"load_before": before, "load_after": os.getloadavg()[0]}
    print(table(results, judged=not options.quick))
    print(f"{machine['cpus']} CPUs, load {before:.1f} before, {machine['load_after']:.1f} after")
    if given.out:
        report = {"machine": machine, "options": asdict(options)}
        given.out.write_text(json.dumps(report | {"results": _plain(results)}, indent=2) + "\n")
    missed = any(result.met is False for result in results)
    return 1 if missed and not options.quick else 0


def _cells(result: Result, judged: bool) -> tuple[str, ...]:
    values = result.ratios or list(result.ours)
    verdict = {True: "met", False: "missed", None: "-"}[result.met]
    if result.undecided:
        verdict += ", unclear"
    return (
        result.name,
        f"{statistics.median(result.ours):.4g} {result.unit}",
        f"{statistics.median(result.peer):.4g} {result.unit}" if result.peer else "-",
        f"{statistics.median(result.ratios):.2f}" if result.peer else "-",
        f"{min(values):.4g} to {max(values):.4g}",
        str(len(result.ours)),
        str(result.target or "-"),
        verdict if judged else "not judged",
    )


def _plain(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        asdict(each)
        | {"ratios": each.ratios, "value": each.value}
        | {"met": each.met, "undecided": each.undecided}
        for each in results
    ]


def _machine() -> dict[str, Any]:
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }
