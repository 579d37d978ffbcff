"""What Ray Serve costs and brings: the same application in one process and in replicas.

- Ray Serve with one replica against `toolkit serve` in one process: Python's proxy, then HAProxy.
- Two replicas of half a CPU each against one, by HAProxy.

The digits CNN, one image in JSON, 8 and 64 connections. None has a target.
"""

import numpy as np

from benchmarks.harness import TOOLKIT, Options, Result, free_ports, main, runs_dir, say
from benchmarks.load import Question, as_json, ask, load, server
from benchmarks.serving import ours, prepared

CONNECTIONS = (8, 64)
PATH = "/v1/models/digits:predict"


def measure(options: Options) -> list[Result]:
    """Ratios of throughput."""
    with runs_dir() as folder:
        say("serving_ray: digits, training")
        path = prepared("digits", folder)
        image = np.random.default_rng(0).integers(0, 17, (1, 8, 8, 1)).astype(np.float32)
        body = as_json({"instances": image.tolist()})
        command = [TOOLKIT, "serve", str(path), "--ray"]
        one, two = ["--replicas", "1"], ["--replicas", "2", "--cpus", "0.5"]
        results = []
        for title, flags in (("Python's proxy", one), ("HAProxy", [*one, "--haproxy"])):
            name = f"Ray Serve, one replica, {title} / one process"
            results += compared(name, path, [*command, *flags], body, options)
        name = "Ray Serve, two replicas, HAProxy / one process"
        results += compared(name, path, [*command, *two, "--haproxy"], body, options)
        return results


def compared(
    name: str,
    path: object,
    command: list[str],
    body: bytes,
    options: Options,
) -> list[Result]:
    """Throughput of replicas against one process, in turns."""
    port, other = free_ports(2)
    base, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{other}"
    question = Question(PATH, body)
    command = [*command, "--port", str(other)]
    seconds = 1 if options.quick else 4
    results = []
    with ours(str(path), port), server(command, f"{peer}/health/ready", cores=0):
        for each in (base, peer):
            ask(each, question)
        for connections in CONNECTIONS:
            say(f"serving_ray: {name}, {connections} connections")
            rates: list[list[float]] = [[], []]
            for _ in range(options.pairs):
                rates[0].append(load(peer, question, connections, seconds).rate)
                rates[1].append(load(base, question, connections, seconds).rate)
            say(f"  {rates[0][-1]:.0f}  {rates[1][-1]:.0f}")
            results.append(Result(f"{name}, {connections} connections", "/s", *rates))
    return results


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
