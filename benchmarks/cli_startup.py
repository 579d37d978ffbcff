"""CPU time, user and system, of commands that a person waits for.

- `toolkit --help`, against a target.
- `python edge/infer.py MODEL --input 4.0` on a one-weight ONNX file, against
  `peers/onnxruntime_infer.py`, which does the least that onnxruntime needs for the same answer.
  There is no target: the difference is what checks, messages and preprocessing cost.
"""

import tempfile
from pathlib import Path

from benchmarks.harness import (
    PYTHON,
    ROOT,
    TOOLKIT,
    Options,
    Result,
    Target,
    alternate,
    cpu_seconds,
    main,
    run,
    say,
)

TARGET = Target(0.3, at_least=False)
RUNS_PER_PAIR = 3  # these commands are short


def measure(options: Options) -> list[Result]:
    """CPU seconds of each command."""
    say("cli_startup: toolkit --help, edge/infer.py")
    count = RUNS_PER_PAIR * options.pairs
    help_command = [TOOLKIT, "--help"]
    run(help_command)  # compiles the modules
    results = [
        Result(
            "toolkit --help",
            "CPU s",
            [cpu_seconds(help_command) for _ in range(count)],
            target=TARGET,
        )
    ]
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "double.onnx"
        write_model(model)
        ours = [PYTHON, str(ROOT / "edge" / "infer.py"), str(model), "--input", "4.0"]
        peer = [PYTHON, "-m", "benchmarks.peers.onnxruntime_infer", str(model), "4.0"]
        for command in (ours, peer):
            answer = float(run(command).stdout)
            if answer != 8.0:
                raise RuntimeError(f"{command} answered {answer}, not 8.0")
        times = alternate(lambda: cpu_seconds(ours), lambda: cpu_seconds(peer), count)
    return [*results, Result("edge/infer.py, ONNX", "CPU s", *times)]


def write_model(path: Path) -> None:
    """Write y = 2x as an ONNX file."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    weight = numpy_helper.from_array(np.full((1, 1), 2.0, np.float32), "weight")
    x, y = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 1]) for name in "xy"
    )
    multiply = helper.make_node("MatMul", ["x", "weight"], ["y"])
    graph = helper.make_graph([multiply], "double", [x], [y], [weight])
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
