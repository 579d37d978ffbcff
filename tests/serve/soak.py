"""Mixed load with hot swaps, bad versions, bad requests and cancelled ones: no answer may be wrong.

python -m tests.serve.soak --minutes 10
python -m tests.serve.soak --minutes 4 --ray --replicas 2      kills replicas, too
"""

import argparse
import itertools
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.serve import tiny
from tests.serve.running import Running
from tests.serve.soak_clients import Client, Record
from tests.serve.soak_models import Versions
from tests.serve.soak_server import joined, ray_flags, replicas_of, row_of, slopes, until

SPOILT = ("wrong", "cut", "empty")


@dataclass(frozen=True)
class Plan:
    """How long and how hard.

    Attributes:
        seconds: of load.
        swap: seconds between two new versions.
        clients: threads that ask.
        pause: most seconds that each waits between two requests.
        replicas: of Ray Serve; 0 runs the server embedded.
        haproxy: before the replicas.
        kill: seconds between two kills of a replica.
    """

    seconds: float = 20.0
    swap: float = 3.0
    clients: int = 6
    pause: float = 0.01
    replicas: int = 0
    haproxy: bool = False
    kill: float = 45.0


@dataclass
class Soak:
    """One run; `problems` says what must not have been."""

    plan: Plan
    folder: Path
    record: Record = field(default_factory=Record)
    swaps: int = 0
    refused: int = 0
    kills: list = field(default_factory=list)
    late: list = field(default_factory=list)
    memory: dict = field(default_factory=dict)
    batches: float = 0.0

    def run(self):
        """Serve, ask, swap and kill; itself."""
        lag = 1 if self.plan.replicas else 0  # replicas look for versions each on their own
        self.versions = {name: Versions(self.folder, name, lag) for name in ("shades", "heavy")}
        files = [tiny.write(self.folder, name) for name in tiny.NAMES]
        paths = [*(each.folder for each in self.versions.values()), *files]
        flags = ["--allow-unverified", "--max-body", "1"]
        with Running(*paths, *flags, *ray_flags(self.plan), OMP_NUM_THREADS="1") as running:
            assert running.port, running.text
            self._load(running)
            assert running.get("/health/ready")[0] == 200
            if not self.plan.replicas:
                self.batches = joined(running.get("/metrics")[1].decode())
            self.code, self.log = running.end(), running.log
        return self

    def _load(self, running):
        stop = threading.Event()
        given = running.port, self.versions, self.record, stop
        clients = [Client(*given, seed, self.plan.pause) for seed in range(self.plan.clients)]
        drivers = [threading.Thread(target=self._swap, args=(running, stop), daemon=True)]
        if self.plan.replicas:
            drivers.append(threading.Thread(target=self._kill, args=(running, stop), daemon=True))
        self.begun = time.monotonic()
        for thread in (*clients, *drivers):
            thread.start()
        while time.monotonic() < self.begun + self.plan.seconds:
            self._measure(running)
            time.sleep(0.5)
        stop.set()
        for thread in (*clients, *drivers):
            thread.join(120)
            if thread.is_alive():
                self.late.append(f"{thread.name} did not end")

    def _swap(self, running, stop):
        turns = itertools.cycle(self.versions.values())
        spoilt = itertools.cycle(SPOILT)
        for turn, model in enumerate(turns, 1):
            if stop.wait(self.plan.swap):
                return
            number = model.publish()
            if not until(lambda: row_of(running, model, number)["state"] == "AVAILABLE"):  # noqa: B023
                self.late.append(f"{model.name} {number} was not taken")
                return
            model.take_over(number)
            self.swaps += 1
            if turn % 3 == 0:
                number = model.spoil(next(spoilt))
                if not until(lambda: row_of(running, model, number)["status"]["error_message"]):  # noqa: B023
                    self.late.append(f"{model.name} {number}, a bad one, was not refused")
                self.refused += 1
                model.remove(number)

    def _kill(self, running, stop):
        while not stop.wait(self.plan.kill):
            replicas = replicas_of(running)
            victim = replicas[len(self.kills) % len(replicas)]
            self.kills.append(time.monotonic())
            victim.send_signal(signal.SIGKILL)

    def _measure(self, running):
        seconds = time.monotonic() - self.begun
        measured = [psutil.Process(running.process.pid)]
        if self.plan.replicas:
            measured = replicas_of(running)
        for process in measured:
            try:
                rows = self.memory.setdefault(process.pid, [])
                rows.append((seconds, process.memory_info().rss / 2**20))
            except psutil.Error:  # it was killed
                continue

    def problems(self):
        """Texts; none if all is well."""
        failed = [
            text for begun, ended, text in self.record.failed if not self._excused(begun, ended)
        ]
        found = [*self.record.wrong, *failed, *self.late]
        if self.code:
            found.append(f"the server ended with {self.code}")
        if not self.plan.replicas:
            found += [row["text"] for row in self.log if row["event"] == "text"]
        return found

    def _excused(self, begun, ended):
        """Whether a replica was killed while the request was at hand."""
        return any(begun - 0.5 <= kill <= ended for kill in self.kills)

    def slopes(self):
        """Memory of each process as soak_server.slopes gives it, after a minute or a fifth."""
        return slopes(self.memory, min(60.0, self.plan.seconds / 5))

    def report(self):
        """What was done, in lines."""
        counts = self.record.counts
        yield f"{sum(counts.values())} requests in {self.plan.seconds:.0f} s:"
        yield from (f"  {kind:20} {count}" for kind, count in sorted(counts.items()))
        yield f"{self.swaps} swaps, {self.refused} bad versions refused, {len(self.kills)} kills"
        yield f"{len(self.record.versions)} versions answered; {self.batches:.2f} samples a call"
        excused = [row for row in self.record.failed if self._excused(*row[:2])]
        yield f"{len(excused)} requests lost with a killed replica"
        yield from (f"  {text}" for *_, text in excused[:5])
        for before, after, slope in self.slopes():
            yield f"memory {before:.1f} MB -> {after:.1f} MB, {slope:+.2f} MB a minute"
        problems = self.problems()
        yield f"{len(self.record.wrong)} wrong answers, {len(problems)} problems"
        yield from (f"  {text[:400]}" for text in problems[:20])


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.serve.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--swap", type=float, default=20.0, help="seconds between two versions")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--pause", type=float, default=0.01, help="most seconds between requests")
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--haproxy", action="store_true")
    given = parser.parse_args(arguments)
    plan = Plan(
        given.minutes * 60,
        given.swap,
        given.clients,
        given.pause,
        given.replicas if given.ray else 0,
        given.haproxy,
    )
    with tempfile.TemporaryDirectory() as folder:
        done = Soak(plan, Path(folder)).run()
    print("\n".join(done.report()))
    return 1 if done.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
