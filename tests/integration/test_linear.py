"""The main job through the command line: `toolkit run linear`, then its stages one by one."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.conftest import run_toolkit
from toolkit.runs import Run

FILES = {
    "linear-tf-fp32.tflite",
    "linear-tf-fp32-opset18.onnx",
    "linear-torch-fp32.tflite",
    "linear-torch-fp32-opset18.onnx",
}


def test_the_run_directory_holds_what_the_design_says(linear_run: Path) -> None:
    facts = Run(linear_run).facts
    assert facts["status"] == "trained"
    assert set(facts["frameworks"]) == {"tf", "torch"}
    assert all(facts["frameworks"][name]["world"] == 2 for name in ("tf", "torch"))
    assert {path.name for path in (linear_run / "exports").iterdir()} == FILES
    for relative in (
        "tf/model.keras",
        "tf/golden.npz",
        "torch/model.safetensors",
        "torch/model.pt2",
        "torch/golden.npz",
        "recipe.py",
        "verification.json",
    ):
        assert (linear_run / relative).stat().st_size > 0, relative
    assert list(linear_run.glob("tensorboard/tf/events.*"))
    assert not list(linear_run.rglob("*.tmp"))


def test_metrics_have_a_row_for_every_epoch(linear_run: Path) -> None:
    rows = [json.loads(line) for line in (linear_run / "metrics.jsonl").read_text().splitlines()]
    for framework in ("tf", "torch"):
        own = [row for row in rows if row["framework"] == framework]
        assert [row["epoch"] for row in own] == list(range(1, 501))
        assert own[-1]["loss"] < 1e-6 < own[0]["loss"]
        assert [row["epoch"] for row in own if "val_loss" in row] == [100, 200, 300, 400, 500]


def test_every_file_answers_eight_for_four_in_every_runtime(linear_run: Path) -> None:
    verification = Run(linear_run).verification
    assert verification is not None
    assert verification["passed"]
    checks = verification["checks"]
    assert {Path(check["file"]).name for check in checks} == FILES
    assert len(checks) == 6  # a TFLite file runs in LiteRT and, converted, in onnxruntime
    for check in checks:
        assert check["probe"] == pytest.approx(8.0, abs=0.05)
        assert check["error"] < 1e-4
        assert check["kept"] == 1
    runtimes = {check["runtime"].split()[0] for check in checks if check["target"] == "tflite"}
    assert runtimes == {"LiteRT", "onnxruntime"}


def test_exported_files_have_readable_names(linear_run: Path) -> None:
    from edge.runtime import load

    for name in FILES:
        model = load(linear_run / "exports" / name)
        assert [tensor.name for tensor in model.inputs] == ["x"]
        assert [tensor.name for tensor in model.outputs] == ["y"]
        assert model.manifest is not None
        assert model.manifest.extra["run"] == linear_run.name
        answer = model.predict({"x": np.array([[4.0], [-1.0]], np.float32)})["y"]
        np.testing.assert_allclose(answer, [[8], [-2]], atol=0.05)


@pytest.mark.soak
def test_export_and_verify_work_on_their_own(linear_copy: Path) -> None:
    shutil.rmtree(linear_copy / "exports")
    (linear_copy / "verification.json").unlink()
    Run(linear_copy).update(exports=[])
    root = linear_copy.parent
    early = run_toolkit("verify", "--runs-dir", root)
    assert early.code == 2
    assert "export first" in early.err

    exported = run_toolkit("export", "--target", "tflite", "--runs-dir", root, "--json")
    assert exported.code == 0, exported.err
    files = {Path(row["file"]).name for row in exported.json["exports"]}
    assert files == {name for name in FILES if name.endswith(".tflite")}
    fixed = {row["framework"]: row["batch"] for row in exported.json["exports"]}
    assert fixed == {"tf": None, "torch": 1}

    one = run_toolkit(
        *("export", "--target", "onnx", "--framework", "torch", "--opset", "17"),
        *("--runs-dir", root, "--json"),
    )
    assert one.code == 0, one.err
    assert [row["file"] for row in one.json["exports"]] == [
        "exports/linear-torch-fp32-opset17.onnx"
    ]

    verified = run_toolkit("verify", "--run", linear_copy.name, "--runs-dir", root, "--json")
    assert verified.code == 0, verified.err
    assert verified.json["passed"]
    assert len(verified.json["checks"]) == 5


def test_damaged_missing_and_wrong_files_fail_verification(linear_copy: Path) -> None:
    run, exports = Run(linear_copy), linear_copy / "exports"
    flipped = bytearray((exports / "linear-tf-fp32.tflite").read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (exports / "linear-tf-fp32.tflite").write_bytes(flipped)
    (exports / "linear-torch-fp32.tflite").unlink()
    other = "exports/linear-torch-fp32-opset18.onnx"
    with_other_weights(run, other)
    result = run_toolkit("verify", "--runs-dir", linear_copy.parent)
    assert result.code == 1
    assert result.out.count("FAIL") == 5
    assert "SHA-256" in result.out
    assert "lacks exports/linear-torch-fp32.tflite" in result.out
    assert run.verification is not None
    failed = [check for check in run.verification["checks"] if not check["passed"]]
    assert {Path(check["file"]).name for check in failed} == FILES - {"linear-tf-fp32-opset18.onnx"}
    (by_numbers,) = [check for check in failed if check["file"] == other]
    assert "above the limit" in by_numbers["reason"]


def with_other_weights(run: Run, path: str) -> None:
    """Make an ONNX file one that is sound, and not the one that was trained."""
    model = onnx.load_from_string(run.read(path))
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array * np.float32(1.001), tensor.name))
    content = model.SerializeToString()
    run.write(path, content)
    digest = hashlib.sha256(content).hexdigest()
    run.add_exports([replace(e, sha256=digest) for e in run.exports if e.file == path])


def test_runs_are_listed(linear_copy: Path) -> None:
    listed = run_toolkit("runs", "--runs-dir", linear_copy.parent, "--json")
    assert [run["run"] for run in listed.json["runs"]] == [str(linear_copy)]
    table = run_toolkit("runs", "--runs-dir", linear_copy.parent)
    assert linear_copy.name in table.out
    assert "pass" in table.out
