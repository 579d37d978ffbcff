"""What edge adds to the bare runtimes, LiteRT and onnxruntime, on the same file.

- `predict`: the median call against set, invoke and get in the same process, call by call in turns.
  On the linear model the difference counts (target 15 us), on a model of 1 ms the ratio (1.05).
- First answer: process start to the first line of output, `python -m edge run` against
  `peers/bare_litert.py` and `peers/bare_onnxruntime.py` (1.10); from a signed bundle of 1 MB with
  its signature checked (1.25).
- Peak resident memory of the same processes (3 MB more at most).
- Zipapp: its size (100 KB at most), and the first answer when run from it, without a target: Python
  compiles what is in a zipapp anew at each start.

Modules are compiled beforehand on both sides, as installing a package does.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.cli_startup import write_model
from benchmarks.harness import PYTHON, ROOT, Options, Result, Target, in_turns, main, run, say

LINEAR_US = Target(15, at_least=False)
MODEL_RATIO = Target(1.05, at_least=False)
START_RATIO = Target(1.10, at_least=False)
BUNDLE_RATIO = Target(1.25, at_least=False)
MEMORY_MB = Target(3, at_least=False)
ZIPAPP_KB = Target(100, at_least=False)

WIDTH = 1400  # of the layers of the model that takes about 1 ms
MB_WIDTH = 512  # a weight of 1 MB
TFLITE = ROOT / "tests" / "edge" / "data" / "double.tflite"
LAUNCHER = """
import os, sys, time
reader, writer = os.pipe()
start = time.perf_counter()
actions = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=actions)
os.close(writer)
line = os.read(reader, 1 << 16)
wall = time.perf_counter() - start
_, status, usage = os.wait4(child, 0)
assert line and not status, (line, status)
print(wall * 1e3, usage.ru_maxrss)
"""
PEERS = {".tflite": "bare_litert", ".onnx": "bare_onnxruntime"}


def measure(options: Options) -> list[Result]:
    """All figures."""
    say("edge_overhead: predict, first answer, memory, zipapp")
    rounds = 1 if options.quick else 5 * options.pairs
    calls = 200 if options.quick else 5000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        linear = folder / "linear.onnx"
        write_model(linear)
        wide = folder / "wide.onnx"
        write_wide(wide, WIDTH)
        environment = {
            "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
            "PYTHONDONTWRITEBYTECODE": "",
            "OMP_NUM_THREADS": "1",
        }
        results = [
            predict_result(TFLITE, rounds, calls, LINEAR_US),
            predict_result(linear, rounds, calls, LINEAR_US),
            predict_result(wide, rounds, calls // 10, MODEL_RATIO),
        ]
        for model in (TFLITE, linear):
            results += process_results(model.suffix, model, [str(model)], environment, rounds)
        return results + bundle_results(folder, environment, rounds)


def predict_result(path: Path, rounds: int, calls: int, target: Target) -> Result:
    """`Model.predict` against the bare runtime, in one process."""
    import numpy as np

    from edge.runtime import load

    model = load(path)
    (taken,) = model.inputs
    sample = np.ones([size or 1 for size in taken.shape], np.float32)
    bare = bare_call(path, sample)
    np.testing.assert_array_equal(
        model.predict({taken.name: sample})[model.outputs[0].name], bare()
    )
    pairs = [
        medians(bare, lambda: model.predict({taken.name: sample}), calls) for _ in range(rounds)
    ]
    name = f"predict, {path.name}"
    if target is MODEL_RATIO:
        return Result(name, "us", [b for _, b in pairs], [a for a, _ in pairs], target)
    added = [b - a for a, b in pairs]
    note = f"bare {statistics.median(a for a, _ in pairs):.2f} us"
    return Result(f"{name}: added", "us", added, target=target, note=note)


def bare_call(path: Path, sample: Any) -> Callable[[], Any]:
    """Set, invoke and get of the runtime itself."""
    if path.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
        taken = interpreter.get_input_details()[0]["index"]
        given = interpreter.get_output_details()[0]["index"]

        def call() -> Any:
            interpreter.set_tensor(taken, sample)
            interpreter.invoke()
            return interpreter.get_tensor(given)

        return call
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name, outputs = session.get_inputs()[0].name, [session.get_outputs()[0].name]
    return lambda: session.run(outputs, {name: sample})[0]


def medians(one: Callable[[], Any], two: Callable[[], Any], calls: int) -> tuple[float, float]:
    """Median microseconds of both, called in turns."""
    times: list[list[int]] = [[], []]
    for _ in range(calls):
        for call, kept in zip((one, two), times, strict=True):
            start = time.perf_counter_ns()
            call()
            kept.append(time.perf_counter_ns() - start)
    first, second = (statistics.median(kept[calls // 10 :]) / 1e3 for kept in times)
    return first, second


def process_results(
    name: str,
    model: Path,
    arguments: list[str],
    environment: Mapping[str, str],
    rounds: int,
    target: Target = START_RATIO,
) -> list[Result]:
    """First answer and memory of `edge run ARGUMENTS` against the bare script on `model`."""
    ours = [PYTHON, "-m", "edge", "run", *arguments, "--input", "1.0"]
    script = ROOT / "benchmarks" / "peers" / f"{PEERS[model.suffix]}.py"
    peer = [PYTHON, str(script), str(model), "1.0"]
    answers = {float(run(command, environment).stdout) for command in (ours, peer)}
    if len(answers) != 1:
        raise RuntimeError(f"{ours} and {peer} answer {answers}")
    seen = [first_answer(command, environment) for _ in range(rounds) for command in (peer, ours)]
    bare, edge = seen[::2], seen[1::2]
    added = [b[1] - a[1] for a, b in zip(bare, edge, strict=True)]
    return [
        Result(f"first answer, {name}", "ms", [b[0] for b in edge], [a[0] for a in bare], target),
        Result(
            f"peak memory, {name}: added", "MB", added, target=MEMORY_MB,
            note=f"bare {statistics.median(a[1] for a in bare):.1f} MB",
        ),
    ]  # fmt: skip


def first_answer(command: list[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Milliseconds to the first line on stdout, and peak resident MB at the end."""
    # The peak of a process begins with that of its parent: a small one has to start it.
    launched = run([PYTHON, "-I", "-S", "-c", LAUNCHER, *command], environment)
    wall, peak = launched.stdout.split()[-2:]
    return float(wall), float(peak) / 1024


def bundle_results(folder: Path, environment: Mapping[str, str], rounds: int) -> list[Result]:
    """A signed bundle of 1 MB, and the zipapp."""
    import numpy as np
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.signer import CryptoSigner

    from edge.bundle_entries import Tolerance
    from edge.manifest import Manifest
    from edge.tensor import Tensor
    from edge.trust import TrustedKey, TrustStore
    from toolkit.bundle.build import BundleParts, ModelPart, build
    from toolkit.zipapp import edge_zipapp

    model, bundle, zipapp = folder / "mb.onnx", folder / "mb.edge", folder / "edge.pyz"
    write_wide(model, MB_WIDTH, layers=1)
    zipapp.write_bytes(edge_zipapp())
    shape = (None, MB_WIDTH)
    manifest = Manifest(
        "wide", "torch", "onnx", "fp32",
        (Tensor("x", shape, "float32"),), (Tensor("y", shape, "float32"),),
    )  # fmt: skip
    part = ModelPart("mb.onnx", model.read_bytes(), manifest, Tolerance(0.0, 1e-4, None))
    golden = {"inputs.x": np.ones((1, MB_WIDTH), np.float32)}
    signer = CryptoSigner(Ed25519PrivateKey.generate())
    parts = BundleParts("wide", "1", 1, (part,), zipapp.read_bytes(), golden)
    bundle.write_bytes(build(parts, [signer]))
    keys = folder / "keys.json"
    public = bytes.fromhex(signer.public_key.keyval["public"])
    keys.write_text(TrustStore.of(TrustedKey(public)).to_json())
    sample = folder / "sample.npy"
    np.save(sample, np.ones((1, MB_WIDTH), np.float32))
    ours = [PYTHON, "-m", "edge", "run", str(bundle), "--keys", str(keys), str(sample)]
    peer = [PYTHON, str(ROOT / "benchmarks/peers/bare_onnxruntime.py"), str(model), "1.0"]
    packed = [PYTHON, str(zipapp), "run", str(TFLITE), "1.0"]
    unpacked = [PYTHON, "-m", "edge", "run", str(TFLITE), "1.0"]
    for command in (ours, peer, packed, unpacked):
        run(command, environment)
    columns = in_turns(
        [
            lambda c=command: first_answer(c, environment)[0]
            for command in (ours, peer, packed, unpacked)
        ],
        rounds,
    )
    return [
        Result("first answer, signed bundle of 1 MB", "ms", columns[0], columns[1], BUNDLE_RATIO),
        Result("first answer, zipapp against package", "ms", columns[2], columns[3]),
        Result("zipapp", "KB", [zipapp.stat().st_size / 1000], target=ZIPAPP_KB),
    ]


def write_wide(path: Path, width: int, layers: int = 2) -> None:
    """Write an ONNX file of matrix products, width by width."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    random = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(
            random.standard_normal((width, width)).astype(np.float32) / width, f"w{index}"
        )
        for index in range(layers)
    ]
    names = ["x", *(f"h{index}" for index in range(layers - 1)), "y"]
    nodes = [
        helper.make_node("MatMul", [names[index], f"w{index}"], [names[index + 1]])
        for index in range(layers)
    ]
    x, y = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", width])
        for name in "xy"
    )
    graph = helper.make_graph(nodes, "wide", [x], [y], weights)
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
