"""From a run, or a model from elsewhere, to proven files of every kind: as a user does it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, run_toolkit
from toolkit.runs import Run


@pytest.fixture(scope="module")
def exported(digits_run: Path, tmp_path_factory) -> Path:
    """A copy of the digits run with the best file of each kind, and a microcontroller's program."""
    copy = tmp_path_factory.mktemp("exported") / digits_run.name
    shutil.copytree(digits_run, copy)
    result = run_toolkit("export", "--run", copy, "--precision", "best", "--json")
    assert result.code == 0, result.err
    rungs = result.json["rungs"]
    assert {(rung["framework"], rung["target"]) for rung in rungs if not rung["reason"]} == {
        ("tf", "tflite"),
        ("tf", "onnx"),
        ("torch", "tflite"),
        ("torch", "onnx"),
    }
    assert all(rung["precision"] == "int8" for rung in rungs)
    options = ("--target", "micro", "--target", "savedmodel", "--framework", "tf")
    more = run_toolkit("export", "--run", copy, *options, "--precision", "fp32", "--json")
    assert more.code == 0, more.err
    return copy


@pytest.fixture(scope="module")
def verified(exported: Path) -> Path:
    result = run_toolkit("verify", "--run", exported, "--json")
    assert result.code == 0, result.out
    assert result.json["checks"] == Run(exported).verification["checks"]
    return exported


def test_every_file_passes_and_is_small_enough(verified: Path) -> None:
    checks = {check["file"]: check for check in Run(verified).verification["checks"]}
    assert "exports/digits-tf-fp32-micro" in checks
    assert checks["exports/digits-tf-fp32-savedmodel"]["runtime"].startswith("tf.saved_model")
    sizes = {export.file: export.bytes for export in Run(verified).exports}
    for framework in ("tf", "torch"):
        int8 = checks[f"exports/digits-{framework}-int8.tflite"]
        assert int8["metric"] == "accuracy"
        assert (int8["samples"], int8["drop"] <= 0.01) == (360, True)
        small = sizes[f"exports/digits-{framework}-int8.tflite"]
        assert small < 0.35 * sizes[f"exports/digits-{framework}-fp32.tflite"]


def test_a_signed_bundle_proves_itself_on_the_device(verified: Path, tmp_path: Path) -> None:
    key, store, file = tmp_path / "key.pem", tmp_path / "keys.json", tmp_path / "digits.edge"
    assert run_toolkit("keys", "new", key, "--store", store).code == 0
    ask = ("bundle", "--run", verified, "--framework", "tf", "--precision", "int8")
    for _ in range(2):
        made = run_toolkit(*ask, "--key", key, "--output", file, "--json")
        assert made.code == 0, made.err
        first = file.read_bytes()
    assert file.read_bytes() == first  # the same run and key, the same bytes

    def edge(*arguments) -> subprocess.CompletedProcess[str]:
        asked = [sys.executable, "-m", "edge", *map(str, arguments)]
        return subprocess.run(asked, capture_output=True, text=True, cwd=ROOT, check=False)

    proof = edge("selftest", file, "--keys", store)
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert proof.stdout.count("passed") == 2
    damaged = bytearray(first)
    damaged[-5] ^= 1
    file.write_bytes(damaged)
    assert edge("selftest", file, "--keys", store).returncode == 2
    unknown = tmp_path / "other.json"
    assert run_toolkit("keys", "new", tmp_path / "o.pem", "--store", unknown).code == 0
    file.write_bytes(first)
    assert edge("selftest", file, "--keys", unknown).returncode == 2


def test_an_unverified_run_is_not_bundled(linear_copy: Path, tmp_path: Path) -> None:
    (linear_copy / "verification.json").unlink()
    ask = ("bundle", "--run", linear_copy, "--framework", "tf", "--unsigned")
    refused = run_toolkit(*ask)
    assert refused.code == 1
    assert "toolkit verify" in refused.err
    allowed = run_toolkit(*ask, "--allow-unverified", "--output", tmp_path / "x.edge")
    assert allowed.code == 0, allowed.err


NET = """
import torch
from torch import nn

def net():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(50, 8)
            self.inner, self.score = nn.Linear(11, 8), nn.Linear(11, 1)

        def forward(self, ids, extra):
            hidden = torch.cat([self.embed(ids).mean(1), extra], 1)
            classes = self.inner(hidden) @ self.embed.weight.T
            return {"classes": classes, "score": 100 * self.score(hidden)}

    torch.manual_seed(0)
    return Two()
"""


def test_a_model_from_elsewhere_goes_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    random = np.random.default_rng(0)
    ids = random.integers(0, 50, (200, 6)).astype(np.int32)
    extra = random.normal(size=(200, 3)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", ids=ids, extra=extra)
    ask = ("export", "net.py:net", "--samples", "samples.npz", "--decision", "argmax")
    made = run_toolkit(
        *ask, "--precision", "fp32", "--precision", "dynamic", "--json", cwd=tmp_path
    )
    assert made.code == 0, made.err
    assert [Path(row["file"]).name for row in made.json["exports"]] == [
        "net-torch-fp32.tflite",
        "net-torch-dynamic.tflite",
        "net-torch-fp32-opset18.onnx",
        "net-torch-dynamic-opset18.onnx",
    ]
    assert run_toolkit("verify", cwd=tmp_path).code == 0
    run = tmp_path / made.json["run"]
    proof = json.loads((run / "verification.json").read_text())
    assert len(proof["checks"]) == 4
    assert proof["left_out"][0]["why"] == "tf2onnx lacks an operator of the file"  # tied table
    folder = run / "exports"
    one, other = folder / "net-torch-fp32.tflite", folder / "net-torch-fp32-opset18.onnx"
    pair = run_toolkit("verify", one, other, "--json", cwd=tmp_path)
    assert pair.code == 0, pair.err
    assert pair.json["passed"] is True
    shown = run_toolkit("inspect", other, "--json", cwd=tmp_path)
    assert shown.json["format"] == "onnx"
    assert shown.json["manifest"]["name"] == "net"
    again = run_toolkit("export", other, "--precision", "dynamic", "--json", cwd=tmp_path)
    assert again.code == 0, again.err
    assert [row["framework"] for row in again.json["exports"]] == ["onnx"]


def test_bench_gives_a_row_a_file(linear_run: Path, tmp_path: Path) -> None:
    table, plot = tmp_path / "table.csv", tmp_path / "plot.svg"
    ask = ("bench", "--run", linear_run, "--seconds", "0.2", "--csv", table, "--plot", plot)
    result = run_toolkit(*ask, "--json")
    assert result.code == 0, result.err
    assert len(result.json["files"]) == 4
    for row in result.json["files"]:
        assert 0 < row["p50_us"] <= row["p99_us"]
        assert row["agreement"] == 1
    assert len(table.read_text().splitlines()) == 5
    assert plot.read_text().startswith("<?xml")


def test_static_precisions_need_samples(linear_copy: Path) -> None:
    before = json.loads((linear_copy / "run.json").read_text())["exports"]
    result = run_toolkit("export", "--run", linear_copy, "--precision", "int8")
    assert result.code == 2
    assert "at least 100 samples" in result.err
    assert json.loads((linear_copy / "run.json").read_text())["exports"] == before
