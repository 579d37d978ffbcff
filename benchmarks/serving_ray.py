"""What Ray Serve costs and brings: the same application in one process and in replicas.

- Ray Serve with one replica against `toolkit serve` in one process: Python's proxy, then HAProxy.
- Two replicas of half a CPU each against one, by HAProxy.
- `toolkit serve` against LitServe: LITSERVE names a Python with litserve and onnxruntime, or this
  part is left out.

The digits CNN, one image in JSON, 8 and 64 connections. None has a target.
"""

import os

import numpy as np

from benchmarks.harness import TOOLKIT, Options, Result, free_ports, main, runs_dir, say
from benchmarks.load import Question, as_json, ask, load, server
from benchmarks.serving import file_of, ours, prepared

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
        if "LITSERVE" in os.environ:
            environment = {"MODEL": str(file_of(path)), "SCALE": str(1 / 16)}
            lit = [os.environ["LITSERVE"], "-m", "benchmarks.peers.litserve_onnx"]
            results += compared("LitServe / ours", path, lit, body, options, environment)
        return results


def compared(
    name: str,
    path: object,
    command: list[str],
    body: bytes,
    options: Options,
    environment: dict[str, str] | None = None,
) -> list[Result]:
    """Throughput of another server against ours in one process, in turns."""
    port, other = free_ports(2)
    base, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{other}"
    mine, theirs = Question(PATH, body), Question(PATH, body)
    ready = f"{peer}/health/ready"
    command = [*command, "--port", str(other)]
    if environment is not None:
        command = [*command[:-2], str(other)]
        theirs, ready = Question("/predict", body), f"{peer}/health"
    seconds = 1 if options.quick else 4
    results = []
    with ours(str(path), port), server(command, ready, environment, cores=0):
        for each, question in ((base, mine), (peer, theirs)):
            ask(each, question)
        for connections in CONNECTIONS:
            say(f"serving_ray: {name}, {connections} connections")
            rates: list[list[float]] = [[], []]
            for _ in range(options.pairs):
                rates[0].append(load(peer, theirs, connections, seconds).rate)
                rates[1].append(load(base, mine, connections, seconds).rate)
            say(f"  {rates[0][-1]:.0f}  {rates[1][-1]:.0f}")
            results.append(Result(f"{name}, {connections} connections", "/s", *rates))
    return results


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
