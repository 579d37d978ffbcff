"""The matrix of 16 files, {Keras, torch} x {TFLite, ONNX} x {fp32, fp16, dynamic, int8}.

- Time of one `toolkit export` against the upstream converters, called by a script a file, one after
  another (`peers/upstream_convert.py`); and against one script a framework and target, which
  imports and converts to fp32 once.
- Speed of our files against theirs, cell by cell: one sample, one thread, median of all calls.
- Speed of our TFLite files against onnx2tf's, made from our ONNX files. It needs older packages
  than ours, so an environment of its own: ONNX2TF names its command, or this part is left out.

Files of the same operators come out some per cent above or below 1: read `range` and `n`, too.
"""

import os
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.exporting import FRAMEWORKS, PRECISIONS, RECIPES, TARGETS, TrainedRun, trained
from benchmarks.file_latency import speeds
from benchmarks.harness import PYTHON, Options, Result, Target, in_turns, main, run, runs_dir, say

TIME, SPEED = Target(0.7, at_least=False), Target(1.0)
SAMPLES = 256
CELLS = [(framework, target) for framework in FRAMEWORKS for target in TARGETS]
ONNX2TF = {  # our precision -> what onnx2tf calls its file
    "fp32": "float32",
    "fp16": "float16",
    "dynamic": "dynamic_range_quant",
    "int8": "integer_quant",
}


def measure(options: Options) -> list[Result]:
    """Ratios of conversion time and of speed."""
    recipe = "digits" if options.quick else "fashion"
    with runs_dir() as folder, TemporaryDirectory() as scratch:
        say(f"export_matrix: {recipe}, training")
        source = trained(recipe, folder, "--epochs", "1")
        say("export_matrix: conversion, seconds of ours, 16 scripts, 4 scripts")
        measures = [partial(toolkit_seconds, source)]
        measures += [partial(upstream_seconds, source, scratch, together=x) for x in (False, True)]
        ours, apart, together = in_turns(measures, options.pairs)
        name = f"{recipe}, time of 16 conversions / upstream in"
        results = [
            Result(f"{name} 16 scripts", "s", ours, apart, TIME),
            Result(f"{name} 4 scripts", "s", ours, together),
        ]
        files = exported(source)
        peers = {
            (framework, target, precision): f"{scratch}/{framework}-{precision}.{target}"
            for framework, target in CELLS
            for precision in PRECISIONS
        }
        results += compared(recipe, "upstream", files, peers, options)
        if "ONNX2TF" in os.environ:
            results += compared(recipe, "onnx2tf", files, from_onnx2tf(source, scratch), options)
        return results


def toolkit_seconds(source: TrainedRun) -> float:
    """Wall time of one command."""
    return source.export(PRECISIONS)[0]


def upstream_seconds(source: TrainedRun, folder: str, *, together: bool) -> float:
    """Wall time of all upstream scripts; `together`, one makes all precisions."""
    groups: list[Sequence[str]] = [PRECISIONS] if together else [(name,) for name in PRECISIONS]
    start = time.perf_counter()
    for framework, target in CELLS:
        for group in groups:
            command = [PYTHON, "-m", "benchmarks.peers.upstream_convert", framework, target]
            model = source.model(framework)
            run([*command, RECIPES[source.recipe], model, folder, *group])
    return time.perf_counter() - start


def exported(source: TrainedRun) -> dict[tuple[str, str, str], str]:
    """Our files by framework, target and precision."""
    return {
        (row["framework"], row["target"], row["precision"]): str(source.path / row["file"])
        for row in source.export(PRECISIONS)[1]
    }


def compared(
    recipe: str,
    peer: str,
    ours: dict[tuple[str, str, str], str],
    theirs: dict[tuple[str, str, str], str],
    options: Options,
) -> list[Result]:
    """Speed of each file of ours against a peer's of the same cell."""
    results = []
    for cell, path in theirs.items():
        say(f"export_matrix: {' '.join(cell)}, calls/s of ours and of {peer}")
        seconds = 0.5 if options.quick else 2.0
        pairs = [speeds(ours[cell], path, seconds) for _ in range(options.pairs)]
        mine, other = ([pair[side] for pair in pairs] for side in (0, 1))
        results.append(
            Result(f"{recipe} {' '.join(cell)}, speed / {peer}", "calls/s", mine, other, SPEED)
        )
    return results


def from_onnx2tf(source: TrainedRun, scratch: str) -> dict[tuple[str, str, str], str]:
    """Files that onnx2tf makes from our ONNX files of channels first, as it expects them."""
    found, samples = {}, calibration(source, Path(scratch))
    for row in source.export(("fp32",), "--target", "onnx", "--layout", "nchw")[1]:
        framework, exported_file = row["framework"], source.path / row["file"]
        model = Path(shutil.copy(exported_file, scratch))  # onnx2tf writes into the file it reads
        folder = Path(scratch, f"onnx2tf-{framework}")
        command = [os.environ["ONNX2TF"], "-i", str(model), "-o", str(folder), "-odrqt", "-oiqt"]
        run([*command, "-n", "-cind", "image", str(samples), "0", "1"])
        for precision, name in ONNX2TF.items():
            found[framework, "tflite", precision] = str(folder / f"{model.stem}_{name}.tflite")
    return found


def calibration(source: TrainedRun, scratch: Path) -> Path:
    """The first training samples, preprocessed, channels last, as .npy."""
    from edge import steps
    from toolkit.source import find

    recipe = find(RECIPES[source.recipe]).load()
    raw = np.asarray(recipe.data().train.inputs[:SAMPLES])
    path = scratch / "calibration.npy"
    np.save(path, steps.apply(recipe.steps_for(recipe.input_name), raw))
    return path


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
