"""The edge inference script: `python edge/infer.py MODEL --input 4.0`, or `python -m edge.infer`.

Raw input -> the manifest's preprocessing -> the model -> the manifest's decision -> a line a
sample. Answers go to stdout, errors to stderr. Needs numpy and the runtime of the model's format.

Exit codes: 0 done; 2 bad usage, input or model file; 3 something broke, or the runtime is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

if not __package__:
    # Run as a script, this folder heads the path, and its modules would pass for others' by name.
    _folder = Path(__file__).resolve().parent
    sys.path[:] = [str(_folder.parent), *(p for p in sys.path if Path(p).resolve() != _folder)]

import numpy as np

from edge import bench
from edge.answer import Answers, answer, prepare
from edge.errors import BrokenRuntimeError, EdgeError, InputError
from edge.model import Model
from edge.read_input import FORMS, read
from edge.runtime import load


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(argv)
    try:
        _infer(options)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last line of defence turns it into a message
        if options.debug:
            traceback.print_exc()
        known = isinstance(error, EdgeError)
        message = str(error) if known else f"{type(error).__name__}: {error} (try --debug)"
        print(f"error: {message}", file=sys.stderr)
        return 2 if known and not isinstance(error, BrokenRuntimeError) else 3
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="infer",
        description="Ask a model file (.tflite or .onnx) for its answer.",
        epilog="exit codes: 0 done; 2 bad usage, input or model file; 3 something broke",
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="the model file")
    add(
        "--input",
        action="append",
        default=[],
        metavar="[NAME=]VALUE",
        help=f"{FORMS}; once for each input, with its name if there are several "
        "(write --input=-1e3 for what looks like an option)",
    )
    add("--json", action="store_true", help="print one JSON object")
    add("--threads", type=_count, default=1, metavar="N", help="of the runtime (default 1)")
    add(
        "--bench",
        type=_seconds,
        nargs="?",
        const=2.0,
        metavar="SECONDS",
        help="measure latency for this long (default 2); on zeros if there is no --input",
    )
    add("--no-preprocess", action="store_true", help="the input is preprocessed already")
    add("--debug", action="store_true", help="show tracebacks and what the runtime prints")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")


def _infer(options: argparse.Namespace) -> None:
    start = time.perf_counter()
    with contextlib.nullcontext() if options.debug else _silent():
        model = load(options.model, threads=options.threads)
    load_ms = (time.perf_counter() - start) * 1e3
    preprocess = not options.no_preprocess
    if options.bench and not options.input:
        raw, preprocess = _zeros(model), False
    else:
        raw = _raw(options.input, model)
    answers = answer(model, raw, preprocess=preprocess)
    result: dict[str, Any] = {"model": options.model, "runtime": model.runtime}
    result["outputs"] = {name: _plain(array) for name, array in answers.outputs.items()}
    result["answers"] = None if answers.answers is None else _plain(answers.answers)
    result["labels"] = answers.labels
    lines = _lines(model, answers)
    if options.bench:
        inputs = prepare(model, raw, preprocess=preprocess)
        latency = bench.measure(model, inputs, options.bench)
        result["bench"] = {"load_ms": load_ms, **dataclasses.asdict(latency)}
        lines = _bench_lines(model, load_ms, latency)
    print(json.dumps(result) if options.json else "\n".join(lines))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Drop what a runtime writes to stderr from C++, past sys.stderr: LiteRT greets with a line."""
    if sys.stderr is None:  # closed by whoever started the process: nothing to drop
        yield
        return
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def _raw(given: Sequence[str], model: Model) -> dict[str, np.ndarray]:
    """The arrays that the --input options stand for, by input name."""
    names = [tensor.name for tensor in model.inputs]
    takes = "\n".join(f"  {tensor}" for tensor in model.inputs)
    if not given:
        raise InputError(f"--input is missing; the model takes:\n{takes}")
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in names:
            if len(names) > 1:
                raise InputError(f"--input {text}: write NAME=VALUE; the model takes:\n{takes}")
            name, value = names[0], text
        if name in values:
            raise InputError(f"--input: {name} is given twice; several samples go into one VALUE")
        values[name] = value
    if list(values.values()).count("-") > 1:
        raise InputError("--input: standard input can be read only once")
    return {name: read(value, sys.stdin) for name, value in values.items()}


def _zeros(model: Model) -> dict[str, np.ndarray]:
    """One batch of zeros; free sizes are taken as 1."""
    return {t.name: np.zeros([size or 1 for size in t.shape], t.dtype) for t in model.inputs}


def _plain(array: np.ndarray) -> Any:
    """As JSON has it, which knows no NaN and no infinity: they become null."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        finite = np.isfinite(array)
        array = array.astype(object)
        array[~finite] = None
    return array.tolist()


def _lines(model: Model, answers: Answers) -> list[str]:
    """A line a sample; without a manifest the raw outputs."""
    if model.manifest is None or answers.answers is None:
        several = len(answers.outputs) > 1
        return [
            f"{name}: {_numbers(row)}" if several else _numbers(row)
            for name, array in answers.outputs.items()
            for row in np.atleast_1d(array)
        ]
    if model.manifest.decision == "value" or answers.answers.ndim > 1:
        return [_numbers(row) for row in answers.answers]
    scores = answers.outputs[model.outputs[0].name].reshape(len(answers.answers), -1).max(axis=1)
    shown = answers.labels or answers.answers.tolist()
    return [f"{label}  (score {score:.6g})" for label, score in zip(shown, scores)]


def _numbers(row: np.ndarray) -> str:
    return " ".join(f"{number:.6g}" for number in np.ravel(row).tolist())


def _bench_lines(model: Model, load_ms: float, latency: bench.Latency) -> list[str]:
    return [
        f"{model.runtime}, {latency.runs} runs of {latency.samples} sample(s)",
        f"load        {load_ms:.1f} ms",
        f"p50         {latency.p50_us:.1f} us",
        f"p90         {latency.p90_us:.1f} us",
        f"p99         {latency.p99_us:.1f} us",
        f"throughput  {latency.samples_per_s:.0f} samples/s",
    ]


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # end quietly in `... | head`
    sys.exit(main())
