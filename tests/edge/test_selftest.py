"""The self-test in real processes; what a runtime can do to them, a false runtime does."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.bundle_entries import Tolerance
from edge.tensor import Tensor

ROOT = Path(__file__).parents[2]

FALSE_RUNTIME = '''
"""Does what the environment says where a real one would plan its memory."""
import ctypes, os, signal, sys, time

class Interpreter:
    def __init__(self, **options):
        pass

    def allocate_tensors(self):
        fault = os.environ["FAULT"]
        if fault == "ill":
            os.kill(os.getpid(), signal.SIGILL)
        elif fault == "segfault":
            ctypes.string_at(0)
        elif fault == "abort":
            os.abort()
        elif fault == "hang":
            time.sleep(100)
        elif fault == "spin":
            while True:
                pass
        elif fault == "grow":
            held = []
            while True:
                held.append(bytearray(b"x" * (8 << 20)))
                time.sleep(0.01)
        elif fault == "huge":
            bytearray(1 << 42)
        elif fault == "exit":
            print("chatter on stdout", flush=True)
            os._exit(7)
'''


def selftest(path, *options, cwd=ROOT, start=("-m", "edge"), **environment):
    command = [sys.executable, *start, "selftest", path, "--allow-unsigned", *options]
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def verdict(done):
    (model,) = json.loads(done.stdout)["models"]
    return model


def test_it_passes(make_bundle):
    done = selftest(make_bundle(), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    model = verdict(done)
    assert (model["verdict"], model["error"], model["samples"]) == ("passed", 0, 4)
    assert 0 < model["p50_ms"] <= model["p90_ms"]
    assert 10 < model["peak_mb"] < 500


@pytest.mark.parametrize("name", ["double-1.edge", "edge.pyz"])
def test_from_the_zipapp(make_bundle, tmp_path, name):
    from toolkit.zipapp import edge_zipapp

    bundle = make_bundle()
    (tmp_path / "edge.pyz").write_bytes(edge_zipapp())
    done = selftest(bundle, start=(tmp_path / name,), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].split()[:2] == ["double.tflite", "passed"]


def test_a_wrong_answer(make_bundle):
    done = selftest(make_bundle(factor=2.001), "--json")
    assert done.returncode == 1
    model = verdict(done)
    assert model["verdict"] == "wrong answer"
    assert model["error"] > model["limit"] == 1e-4
    assert "is over the limit of 0.0001" in model["detail"]
    done = selftest(make_bundle(factor=2.001))
    assert done.returncode == 1
    assert "wrong answer" in done.stdout


def test_another_decision(make_bundle, describe):
    """Within two percent of the range, as without a limit, and still of another sign."""
    import numpy as np

    golden = {
        "inputs.value": np.array([[0.001], [0.002], [0.003], [4]], np.float32),
        "outputs.twice": np.array([[-0.002], [-0.004], [0.006], [8]], np.float32),
    }
    path = make_bundle(
        manifest=describe(decision="sign"), tolerance=Tolerance(0.0, None, 1.0), golden=golden
    )
    model = verdict(selftest(path, "--json"))
    assert (model["verdict"], model["agreement"]) == ("wrong answer", 0.5)
    assert "agrees on 0.5 of the samples, 1 at export" in model["detail"]


def test_the_latency_budget(make_bundle):
    path = make_bundle()
    assert selftest(path, "--budget-ms", "1000").returncode == 0
    done = selftest(path, "--budget-ms", "0.00001", "--json")
    assert (done.returncode, verdict(done)["verdict"]) == (1, "too slow")


@pytest.mark.parametrize(
    ("fault", "options", "kind", "words"),
    [
        ("ill", (), "illegal instruction", "SIGILL while it loaded the model; the processor"),
        ("segfault", (), "crash", "SIGSEGV while it loaded the model"),
        ("abort", (), "crash", "SIGABRT"),
        ("hang", ("--timeout", "2"), "hang", "stopped while it"),
        ("spin", ("--timeout", "2"), "hang", "stopped while it"),
        ("grow", ("--memory-mb", "150"), "out of memory", "stopped while it loaded the model"),
        ("huge", ("--memory-mb", "150"), "out of memory", "double.tflite: damaged"),
        ("exit", (), "error", "ended with 7 while it loaded the model: chatter"),
    ],
)
def test_what_can_happen_to_the_child(make_bundle, tmp_path, fault, options, kind, words):
    false = tmp_path / "false" / "ai_edge_litert"
    false.mkdir(parents=True)
    (false / "__init__.py").write_text("")
    (false / "interpreter.py").write_text(FALSE_RUNTIME)
    start = time.monotonic()
    done = selftest(make_bundle(), "--json", *options, PYTHONPATH=str(false.parent), FAULT=fault)
    assert time.monotonic() - start < 30
    assert done.returncode == 1
    assert verdict(done)["verdict"] == kind
    assert words in verdict(done)["detail"]


def test_no_runtime_is_three(make_bundle, tmp_path):
    for package in ("ai_edge_litert", "tflite_runtime"):
        (tmp_path / "false" / package).mkdir(parents=True)
        (tmp_path / "false" / package / "__init__.py").write_text("raise ImportError('none')")
    done = selftest(make_bundle(), PYTHONPATH=str(tmp_path / "false"))
    assert (done.returncode, done.stdout) == (3, "")
    assert "pip install ai-edge-litert" in done.stderr


def test_what_cannot_be_tested_is_two(make_bundle):
    done = selftest(make_bundle(golden=None))
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no golden vectors" in done.stderr
    path = make_bundle()
    path.write_bytes(path.read_bytes()[:5000])
    assert selftest(path).returncode == 2


def test_a_fixed_batch_replays_whole_batches(make_bundle, describe):
    import numpy as np

    from edge.manifest_tflite import append_to_tflite
    from toolkit.bundle.build import ModelPart

    manifest = describe(
        inputs=(Tensor("value", (2, 1), "float32"),), outputs=(Tensor("twice", (2, 1), "float32"),)
    )
    content = (ROOT / "tests/edge/data/fixed.tflite").read_bytes()
    part = ModelPart(
        "fixed.tflite", append_to_tflite(content, manifest), manifest, Tolerance(0.0, 1e-4, None)
    )
    values = np.arange(5, dtype=np.float32)[:, None]
    golden = {"inputs.value": values, "outputs.twice": values * 2}
    model = verdict(selftest(make_bundle(models=(part,), golden=golden), "--json"))
    assert (model["verdict"], model["samples"]) == ("passed", 4)
