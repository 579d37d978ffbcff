"""On a device there is numpy, one runtime and edge: nothing of training, nothing by accident."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ABSENT = ("toolkit", "tensorflow", "torch", "ray", "keras", "onnx", "jax")


@pytest.fixture(params=[("onnx", "onnxruntime"), ("tflite", "ai_edge_litert")])
def device(request, edge_copy):
    """A folder with edge, numpy and one runtime; gives it, the runtime and a model file."""
    kind, runtime = request.param
    for name in ("numpy", runtime):
        package = Path(importlib.util.find_spec(name).origin).parent
        (edge_copy / name).symlink_to(package)
        libraries = package.with_name(f"{name}.libs")
        if libraries.exists():
            (edge_copy / libraries.name).symlink_to(libraries)
    return edge_copy, runtime, request.getfixturevalue(kind)()


def python(*arguments):
    """In isolation: -I ignores the environment and the folder, -S leaves out site-packages."""
    command = [sys.executable, "-I", "-S", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def test_the_script_answers(device):
    folder, _, model = device
    done = python(folder / "edge" / "infer.py", model, "--input", "4.0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "8\n", "")


def test_nothing_else_is_there(device):
    folder, runtime, _ = device
    code = f"""
import importlib.util, json, sys
sys.path.append({str(folder)!r})
print(json.dumps([name for name in {("numpy", "edge", runtime, *ABSENT)!r}
                  if importlib.util.find_spec(name)]))
"""
    assert json.loads(python("-c", code).stdout) == ["numpy", "edge", runtime]


def test_a_missing_runtime_is_three(edge_copy, tflite, onnx):
    numpy = Path(importlib.util.find_spec("numpy").origin).parent
    for package in (numpy, numpy.with_name("numpy.libs")):
        if package.exists():
            (edge_copy / package.name).symlink_to(package)
    for model, package in ((tflite(), "ai-edge-litert"), (onnx(), "onnxruntime")):
        done = python(edge_copy / "edge" / "infer.py", model, "--input", "4.0")
        assert (done.returncode, done.stdout) == (3, "")
        assert f"pip install {package}" in done.stderr


def test_no_runtime_is_imported_before_load():
    code = """
import sys
import edge
assert "numpy" not in sys.modules
import edge.infer, edge.runtime, edge.runtime_litert, edge.runtime_onnx
bad = {"onnxruntime", "ai_edge_litert", "tflite_runtime", "tensorflow", "torch", "toolkit", "onnx"}
print(sorted(bad & set(sys.modules)))
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
