"""The edge runtime against what people do instead: the whole framework on the device.

How many times faster the first answer comes and how much less memory the process takes, y = 2x from
process start: `python -m edge run` with LiteRT and onnxruntime, against TensorFlow's interpreter on
the same .tflite file and torch on a .pt2 file. And how much less there is to install: the files of
the packages and all that they need.
"""

import tempfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.cli_startup import write_model
from benchmarks.edge_overhead import TFLITE, first_answer
from benchmarks.harness import PYTHON, ROOT, Options, Result, main, run, say

_EXPORT = """
import sys, torch
class Double(torch.nn.Module):
    def forward(self, x):
        return 2 * x
torch.export.save(torch.export.export(Double(), (torch.ones(1, 1),)), sys.argv[1])
"""
_OURS = {"LiteRT": "ai-edge-litert", "onnxruntime": "onnxruntime"}
_PEERS = {"TensorFlow": "tensorflow", "torch": "torch"}


def measure(options: Options) -> list[Result]:
    """Ratios of first answers, of memory, and of installed sizes."""
    say("edge_frameworks: first answers of edge and of the frameworks")
    with tempfile.TemporaryDirectory() as name:
        linear, program = Path(name, "linear.onnx"), Path(name, "double.pt2")
        write_model(linear)
        run([PYTHON, "-c", _EXPORT, str(program)])
        peers = ROOT / "benchmarks" / "peers"
        commands = {
            "LiteRT": [PYTHON, "-m", "edge", "run", str(TFLITE), "1.0"],
            "onnxruntime": [PYTHON, "-m", "edge", "run", str(linear), "1.0"],
            "TensorFlow": [PYTHON, str(peers / "tensorflow_lite.py"), str(TFLITE), "1.0"],
            "torch": [PYTHON, str(peers / "torch_program.py"), str(program), "1.0"],
        }
        for command in commands.values():
            run(command)
        seen: dict[str, list[tuple[float, float]]] = {title: [] for title in commands}
        for _ in range(options.pairs):
            for title, command in commands.items():
                seen[title].append(first_answer(command, {"OMP_NUM_THREADS": "1"}))
    results = []
    for ours, peer in (("LiteRT", "TensorFlow"), ("onnxruntime", "torch")):
        pair = f"{peer} / edge with {ours}"
        for what, unit, place in (("first answer", "ms", 0), ("peak memory", "MB", 1)):
            sides = [[each[place] for each in seen[title]] for title in (peer, ours)]
            results.append(Result(f"{what}, {pair}", unit, *sides))
        sizes = [[installed(name)] for name in (_PEERS[peer], _OURS[ours])]
        results.append(Result(f"installed, {pair}", "MB", *sizes, note="numpy in both"))
    return results


def installed(package: str) -> float:
    """MB of a package's files and of all that it needs; edge's runtimes need numpy alone."""
    if package in _OURS.values():
        return sum(_size(name) for name in (package, "numpy"))
    found, waiting = set[str](), [package]
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        wanted = [Requirement(text) for text in needs]
        waiting += [r.name for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    return sum(_size(name) for name in found)


def _size(package: str) -> float:
    files = metadata.files(package) or []
    paths = [Path(str(file.locate())) for file in files]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
