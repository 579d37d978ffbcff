"""Exported files answer on an emulated aarch64 as they do here, with both runtimes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.arm.emulator import RUNTIMES, SETUP, ArmPython
from tests.conftest import ROOT

pytestmark = pytest.mark.arm

LINEAR = ["linear-tf-fp32.tflite", "linear-torch-fp32.tflite"] + [
    f"linear-{framework}-fp32-opset18.onnx" for framework in ("tf", "torch")
]


def here(model: Path, *arguments: str | Path):
    """What `edge/infer.py` answers on the host."""
    command = [sys.executable, ROOT / "edge/infer.py", model, *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def outputs(answer) -> np.ndarray:
    (values,) = answer["outputs"].values()
    return np.asarray(values)


def test_it_is_the_processor_and_the_packages_of_the_lock_file(arm):
    script = (
        "import json, platform, importlib.metadata as m\n"
        "packages = {n: m.version(n) for n in ('numpy', 'ai-edge-litert', 'onnxruntime')}\n"
        "print(json.dumps([platform.machine(), platform.freedesktop_os_release()['VERSION_ID'], "
        "packages]))"
    )
    done = arm.run("-c", script, packages=("numpy", *RUNTIMES.values()))
    assert done.code == 0, done.err
    machine, release, packages = done.json
    assert (machine, release) == ("aarch64", "12")
    pinned = (ROOT / "requirements.lock").read_text().splitlines()
    assert [f"{name}=={version}" in pinned for name, version in packages.items()] == [True] * 3


def test_a_child_of_the_emulated_python_is_emulated(arm):
    script = (
        "import subprocess, sys\n"
        "child = [sys.executable, '-c', 'import platform; print(platform.machine())']\n"
        "print(subprocess.run(child, capture_output=True, text=True).stdout)"
    )
    done = arm.run("-c", script)
    assert done.out.split() == ["aarch64"], done.err


@pytest.mark.parametrize("name", LINEAR)
def test_linear_answers_eight_as_here(arm, linear_run, name):
    model = linear_run / "exports" / name
    done = arm.infer(model, "--input", "4.0")
    assert done.code == 0, done.err
    assert done.json["answers"] == [pytest.approx(8.0, abs=0.05)]
    expected = here(model, "--input", "4.0")
    assert done.json["runtime"] == expected["runtime"]
    np.testing.assert_allclose(outputs(done.json), outputs(expected), rtol=0, atol=1e-6)


def test_digits_int8_decides_as_here(arm, int8_run, tmp_path):
    """Integers are rounded by other instructions there, so a step of the output may differ."""
    images = tmp_path / "images.npy"
    np.save(images, np.random.default_rng(0).integers(0, 17, (8, 64)).astype(np.float32))
    files = sorted(path for path in (int8_run / "exports").iterdir() if "-int8" in path.name)
    assert {path.suffix for path in files} == set(RUNTIMES)
    for model in files:
        done, expected = arm.infer(model, "--input", images), here(model, "--input", images)
        assert done.code == 0, done.err
        step = np.diff(np.unique(outputs(expected))).min() * 1.01
        assert len(done.json["answers"]) == 8
        assert done.json["answers"] == expected["answers"]
        np.testing.assert_allclose(outputs(done.json), outputs(expected), rtol=0, atol=step)


def test_a_missing_runtime_is_named_there_too(arm, linear_run):
    model = linear_run / "exports" / LINEAR[0]
    done = arm.run(ROOT / "edge/infer.py", model, "--input", "4.0", packages=("numpy",))
    assert done.code == 3
    assert "ai-edge-litert" in done.err


def test_without_the_set_up_the_message_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ARM_FOLDER", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"run {SETUP} {tmp_path}"):
        ArmPython.find()


def test_set_up_without_a_mirror_says_so_and_leaves_nothing_that_passes_for_done(tmp_path):
    """Nothing listens on port 9 of this machine."""
    done = subprocess.run(
        [ROOT / SETUP, tmp_path],
        env=os.environ | {"DEBIAN_MIRROR": "http://127.0.0.1:9/debian"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "apt could not read" in done.stderr
    assert not (tmp_path / ".ready").exists()
