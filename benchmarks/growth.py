"""How cost grows with the number of workers.

Measured: 1, 2, 4 and 8 workers of one thread each, on as many CPUs as there are. That is a check of
the protocol, not of speed: all of them must end with the same validation loss.
On paper: the efficiency of 8 to 256 machines by `benchmarks.ring`, from the latency and bandwidth
of gloo's all-reduce between two processes here, and the computing time of one worker.
"""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import ring
from benchmarks.harness import (
    PYTHON,
    TOOLKIT,
    Options,
    Result,
    Target,
    free_ports,
    main,
    run,
    say,
)
from benchmarks.training import Trained, on_cpu, train

WORKERS, QUICK_WORKERS = (1, 2, 4, 8), (4,)
SAME = Target(1e-3, at_least=False)
PAPER_WORKERS = (8, 32, 128, 256)
PAPER_BATCH = 32  # samples a step and worker
GRADIENT_BYTES = {"mlp": 4 * 6_922, "cnn": 4 * 106_538}
LONG_BYTES = 4_000_000
_SECONDS = 60.0


def measure(options: Options) -> list[Result]:
    """Speeds and agreement of real workers, and efficiencies on paper."""
    results = _real("torch", QUICK_WORKERS if options.quick else WORKERS)
    if not options.quick:
        results += _real("tf", WORKERS)
    return results + _paper(options)


def _real(framework: str, counts: tuple[int, ...]) -> list[Result]:
    runs: dict[int, Trained] = {}
    for count in counts:
        say(f"growth: {framework} mlp, {count} worker(s) of one thread")
        with ray_of(count) as address:
            runs[count] = train("mlp", framework, count, "--epochs", "2", "--address", address)
        if runs[count].facts["world"] != count:
            raise RuntimeError(f"asked for {count} workers, got {runs[count].facts}")
    speeds = [
        Result(f"{framework} mlp, {count} worker(s), shared CPUs", "steps/s", [done.speed])
        for count, done in runs.items()
    ]
    losses = [done.facts["val_loss"] for done in runs.values()]
    spread = max(losses) - min(losses)
    name = f"{framework} mlp, spread of val_loss over {' '.join(map(str, runs))} workers"
    return [*speeds, Result(name, "", [spread], target=SAME)]


def _paper(options: Options) -> list[Result]:
    say("growth: gloo's all-reduce between two processes")
    links = [measured_link() for _ in range(options.pairs)]
    link = sorted(links, key=lambda each: each.bandwidth)[len(links) // 2]
    results = [
        Result("gloo, latency", "us", [each.latency * 1e6 for each in links]),
        Result("gloo, bandwidth", "MB/s", [each.bandwidth / 1e6 for each in links]),
    ]
    for recipe, size in GRADIENT_BYTES.items():
        done = train(recipe, "torch", 1, "--epochs", "2", under=on_cpu(0))
        compute = PAPER_BATCH / float(done.facts["samples_per_second"])
        results.append(Result(f"torch {recipe}, {PAPER_BATCH} samples", "ms", [compute * 1e3]))
        for workers in PAPER_WORKERS:
            value = ring.efficiency(workers, compute, size, link)
            results.append(Result(f"torch {recipe}, {workers} machines, on paper", "", [value]))
    return results


def measured_link() -> ring.Link:
    """Between two processes of this machine."""
    launch = [PYTHON, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launch += ["--master-port", str(free_ports(1)[0]), "-m", "benchmarks.peers.gloo_allreduce"]
    short, long = json.loads(run([*launch, "4", str(LONG_BYTES)]).stdout)
    return ring.Link.between_two(short, long, LONG_BYTES)


@contextlib.contextmanager
def ray_of(cpus: int) -> Iterator[str]:
    """A Ray head that believes in so many CPUs; its address."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="br", ignore_cleanup_errors=True) as folder:
        command = [
            *(str(Path(TOOLKIT).with_name("ray")), "start", "--head", "--block"),
            *("--node-ip-address=127.0.0.1", f"--port={port}", f"--num-cpus={cpus}"),
            *("--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}"),
        ]
        quiet = subprocess.DEVNULL
        environment = os.environ | {"RAY_AUTH_MODE": "disabled"}
        head = subprocess.Popen(
            command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True
        )
        try:
            _wait_for(port)
            yield f"127.0.0.1:{port}"
        finally:
            head.send_signal(signal.SIGTERM)
            head.wait(_SECONDS)


def _wait_for(port: int) -> None:
    """Until a driver can join; the port alone opens too early."""
    script = f"import ray; ray.init('127.0.0.1:{port}', log_to_driver=False, logging_level='ERROR')"
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            run([PYTHON, "-c", script], {"RAY_AUTH_MODE": "disabled"})
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
