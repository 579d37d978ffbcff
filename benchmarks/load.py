"""Servers as subprocesses, and wrk that asks them: what the benchmarks of serving share.

Servers have one core and wrk has another, where there are two: so servers of several processes and
of one have the same, and none waits for wrk.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import ENVIRONMENT, ROOT, run

_SCRIPT = """
local file = io.open("{body}", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
{headers}
done = function(summary, latency, requests)
  io.write(string.format("\\nRESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.timeout,
    latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Question:
    """One request, sent over and over.

    Attributes:
        path: of the URL.
        body: what is posted.
        headers: beside the length.
    """

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True)
class Load:
    """What wrk saw: answers a second, and the 99th percentile of seconds to an answer."""

    rate: float
    p99: float


@contextlib.contextmanager
def server(
    command: Sequence[str],
    url: str,
    environment: Mapping[str, str] | None = None,
    cores: int = 1,
) -> Iterator[int]:
    """Run a server until the block ends; yields its process id.

    Args:
        command: starts it.
        url: answers 200 when it is ready.
        environment: beside this process's own.
        cores: 1, or 0 for all.

    Raises:
        RuntimeError: it ended, or was not ready within two minutes.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*(pinned(0) if cores == 1 else ()), *command],
            cwd=ROOT,
            env=os.environ | ENVIRONMENT | dict(environment or {}),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            try:
                _wait(process, url, 120)
            except RuntimeError as error:
                log.seek(0)
                last = log.read().decode(errors="replace")[-2000:]
                raise RuntimeError(f"{' '.join(command)}: {error}\n{last}") from error
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # LitServe leaves its workers behind


def _wait(process: "subprocess.Popen[bytes]", url: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"not ready after {seconds:g} s")


def ask(base: str, question: Question) -> bytes:
    """One answer, to see that it is right before it is counted.

    Raises:
        RuntimeError: the server refused; tells why.
    """
    request = urllib.request.Request(base + question.path, question.body, dict(question.headers))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: bytes = answer.read()
            return found
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        raise RuntimeError(f"{question.path}: {error.code} {text[:500]}") from error


def load(base: str, question: Question, connections: int, seconds: float) -> Load:
    """Ask with so many connections at a time.

    Raises:
        RuntimeError: any answer was an error.
    """
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder, "body"), Path(folder, "script.lua")
        body.write_bytes(question.body)
        headers = "\n".join(f'wrk.headers["{k}"] = "{v}"' for k, v in question.headers.items())
        script.write_text(_SCRIPT.format(body=body, headers=headers))
        options = ["-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s"]
        done = run(
            [
                *pinned(1),
                "wrk",
                *options,
                "--timeout",
                "20s",
                "-s",
                str(script),
                base + question.path,
            ]
        )
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
    if found is None:
        raise RuntimeError(f"wrk said: {done.stdout[-500:]}")
    answers, micros, refused, broken, p99 = (int(group) for group in found.groups())
    if refused or broken or not answers:
        raise RuntimeError(f"{refused} errors, {broken} broken connections in {answers} answers")
    return Load(answers / (micros / 1e6), p99 / 1e6)


def pinned(place: int) -> list[str]:
    """What makes a command run on one core: the first or the second, if there are two."""
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cores[place])] if len(cores) > 1 else []


def as_json(value: object) -> bytes:
    """A body of JSON."""
    return json.dumps(value).encode()
