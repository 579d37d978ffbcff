"""`toolkit serve` on one machine against servers written by hand and TorchServe.

- The digits CNN under 1, 8 and 64 connections, one image in JSON and in binary, and the linear
  model for a small body, against FastAPI and onnxruntime (`peers/fastapi_onnx.py`) with uvloop and
  httptools, as `toolkit serve` has them. Answers a second, and the 99th percentile of latency.
- The same image against the real TorchServe with our .mar, one worker. It needs Java 17.
- A heavier model, 64 connections, with batching and without.

Every server has one core; wrk, on the same machine, has another.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.exporting import trained
from benchmarks.harness import (
    PYTHON,
    TOOLKIT,
    Options,
    Result,
    Target,
    free_ports,
    main,
    run,
    runs_dir,
    say,
)
from benchmarks.load import Load, Question, as_json, ask, load, server
from benchmarks.peers import torchserve

FASTER, QUICKER = Target(1.0), Target(1.0, at_least=False)
TORCHSERVE, BATCHED = Target(3.0), Target(1.5)
CONNECTIONS = (1, 8, 64)
WIDTH = 1024
HEAVY = 2048


def measure(options: Options) -> list[Result]:
    """Ratios of throughput and of p99."""
    with runs_dir() as folder:
        say("serving: digits and linear, training")
        digits = prepared("digits", folder)
        linear = prepared("linear", folder)
        image = np.random.default_rng(0).integers(0, 17, (1, 8, 8, 1)).astype(np.float32)
        results = []
        for name, path, scale, array in (
            ("digits image", digits, 1 / 16, image),
            ("linear", linear, 1.0, np.full((1, 1), 4, np.float32)),
        ):
            results += against_fastapi(name, path, scale, array, options)
        results += against_torchserve(digits, image, options)
        results += batching(Path(folder), options)
        return results


def prepared(recipe: str, folder: str, *options: str) -> Path:
    """A run of the torch model, exported to ONNX and verified."""
    source = trained(recipe, folder, "--framework", "torch", *options)
    source.export(("fp32",), "--target", "onnx")
    failed = [check for check in source.verify() if not check["passed"]]
    if failed:
        raise RuntimeError(f"{recipe}: {failed}")
    return source.path


def file_of(path: Path) -> Path:
    """The run's .onnx file."""
    (found,) = (path / "exports").glob("*.onnx")
    return found


def against_fastapi(
    name: str, path: Path, scale: float, image: np.ndarray, options: Options
) -> list[Result]:
    """One model in JSON and binary at each number of connections."""
    model = path.name.split("-")[0]
    environment = {"MODEL": str(file_of(path)), "SCALE": str(scale)}
    peer_port, port = free_ports(2)
    peer = [PYTHON, "-m", "benchmarks.peers.fastapi_onnx", str(peer_port)]
    results = []
    with (
        ours(path, port) as base,
        server(peer, f"http://127.0.0.1:{peer_port}/health", environment),
    ):
        other = f"http://127.0.0.1:{peer_port}"
        forms = {
            "JSON": (
                Question(f"/v1/models/{model}:predict", as_json({"instances": image.tolist()})),
                Question("/predict", as_json({"instances": image.tolist()})),
            ),
            "binary": (binary(model, "image", image), raw(image)),
        }
        for form, (mine, theirs) in forms.items():
            if name == "linear" and form == "binary":
                continue
            same(ask(base, mine), ask(other, theirs), form)
            for connections in CONNECTIONS:
                title = f"{name} in {form}, {connections} connections"
                say(f"serving: {title}: answers/s of ours and FastAPI")
                asked = [(base, mine), (other, theirs)]
                results += pairs(title, "FastAPI", asked, connections, options)
    return results


def pairs(
    title: str,
    peer: str,
    asked: list[tuple[str, Question]],
    connections: int,
    options: Options,
    target: Target = FASTER,
) -> list[Result]:
    """Throughput and p99 of ours against a peer, in turns."""
    seconds = 1 if options.quick else 4
    found: list[list[Load]] = [[], []]
    for _ in range(options.pairs):
        for side, (base, question) in enumerate(asked):
            found[side].append(load(base, question, connections, seconds))
        say("  " + "  ".join(f"{side[-1].rate:.0f}" for side in found))
    rates = [[each.rate for each in side] for side in found]
    late = [[1e3 * each.p99 for each in side] for side in found]
    return [
        Result(f"{title}, throughput / {peer}", "/s", rates[0], rates[1], target),
        Result(f"{title}, p99 / {peer}", "ms", late[0], late[1], QUICKER),
    ]


def binary(model: str, name: str, image: np.ndarray) -> Question:
    """The Open Inference Protocol's binary form of one input."""
    size = {"binary_data_size": image.nbytes}
    tensor = {"name": name, "shape": list(image.shape), "datatype": "FP32", "parameters": size}
    wanted = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = json.dumps(wanted).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return Question(f"/v2/models/{model}/infer", head + image.tobytes(), headers)


def raw(image: np.ndarray) -> Question:
    """The bytes alone."""
    return Question("/binary", image.tobytes(), {"Content-Type": "application/octet-stream"})


def same(mine: bytes, theirs: bytes, form: str) -> None:
    """Both servers answer the same, or nothing is measured."""
    if form == "JSON":
        one, other = (np.array(json.loads(text)["predictions"]) for text in (mine, theirs))
    else:
        other = np.frombuffer(theirs, np.float32)
        one = np.frombuffer(mine[-other.nbytes :], np.float32)
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@contextmanager
def ours(path: Path | str, port: int, *options: str) -> Iterator[str]:
    """`toolkit serve`, as it comes; yields its address."""
    command = [TOOLKIT, "serve", str(path), "--port", str(port), *options]
    base = f"http://127.0.0.1:{port}"
    with server(command, f"{base}/health/ready"):
        yield base


def against_torchserve(path: Path, image: np.ndarray, options: Options) -> list[Result]:
    """The same image and model in the real TorchServe."""
    if torchserve.missing():
        say(f"serving: no TorchServe: {torchserve.missing()}")
        return []
    place = ["--run", path.name, "--runs-dir", str(path.parent)]
    run([TOOLKIT, "export", *place, "--target", "torchserve"])
    (archive,) = (path / "exports").glob("*.mar")
    (port,) = free_ports(1)
    results = []
    body = as_json({"instances": image.tolist()})
    mine = Question("/v1/models/digits:predict", body)
    with ours(path, port) as base, torchserve.serving(archive, "digits", body) as (other, theirs):
        for each, question in ((base, mine), (other, theirs)):
            ask(each, question)
        for connections in CONNECTIONS:
            title = f"digits image in JSON, {connections} connections"
            say(f"serving: {title}: answers/s of ours and TorchServe")
            asked = [(base, mine), (other, theirs)]
            results += pairs(title, "TorchServe", asked, connections, options, TORCHSERVE)
    return results


def batching(folder: Path, options: Options) -> list[Result]:
    """A model of wide dense layers, where a batch reads the weights once."""
    model = folder / "wide.onnx"
    wide(model, HEAVY)
    row = np.random.default_rng(0).random((1, HEAVY), np.float32)
    question = binary("wide", "input", row)
    ports = free_ports(2)
    flags = ("--allow-unverified",)
    with (
        ours(model, ports[0], *flags) as joined,
        ours(model, ports[1], *flags, "--batch-size", "1") as alone,
    ):
        say("serving: wide model, 64 connections: answers/s with batching and without")
        seconds = 2 if options.quick else 6
        asked = [partial(load, base, question, 64, seconds) for base in (joined, alone)]
        found = [[each() for each in asked] for _ in range(options.pairs)]
    rates = [[pair[side].rate for pair in found] for side in (0, 1)]
    title = f"dense 4 x {HEAVY} x {HEAVY}, 64 connections, batching / none"
    return [Result(title, "/s", rates[0], rates[1], BATCHED)]


def wide(path: Path, width: int = WIDTH) -> None:
    """Four dense layers of random weights, with a free batch axis."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    generator = np.random.default_rng(0)
    nodes, weights, last = [], [], "input"
    for index in range(4):
        matrix = generator.normal(0, width**-0.5, (width, width)).astype(np.float32)
        weights.append(numpy_helper.from_array(matrix, f"w{index}"))
        nodes.append(helper.make_node("MatMul", [last, f"w{index}"], [f"m{index}"]))
        last = "output" if index == 3 else f"r{index}"
        nodes.append(helper.make_node("Relu", [f"m{index}"], [last]))
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name in ("input", "output")
    ]
    graph = helper.make_graph(nodes, "wide", tensors[:1], tensors[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    save(model, path)


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
