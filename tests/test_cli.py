"""The command line as a process: bad input, exit codes, and where results go."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_json import check
from tests.conftest import ROOT, run_toolkit

TORCH_ONLY = """
import numpy as np
from toolkit import Data, Recipe, Split

def data():
    x = np.array(VALUES, np.float32)
    return Data(Split(x, TARGETS), Split(x, TARGETS))

def net():
    from torch import nn
    return nn.Linear(1, 2)

recipe = Recipe(name="mine", data=data, torch=net, loss="cross_entropy", labels=("a", "b"))
"""


def recipe_file(folder: Path, values: str = "[1, 2, 3]", targets: str = "[0, 1, 1]") -> Path:
    path = folder / "mine.py"
    path.write_text(TORCH_ONLY.replace("VALUES", values).replace("TARGETS", targets))
    return path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], ["did you mean 'train'"]),
        (["train", "lineer"], ["no recipe 'lineer'", "did you mean 'linear'"]),
        (["train", "nowhere/recipe.py"], ["nowhere/recipe.py", "cannot be read"]),
        (["train", "--framework", "tff"], ["--framework", "did you mean 'tf'"]),
        (["train", "--workers", "some"], ["--workers", "auto"]),
        (["train", "--workers", "99"], ["99 CPUs", "--workers", "--address"]),
        (["train", "--epochs", "0"], ["--epochs"]),
        (["train", "--address", "127.0.0.1:1"], ["nothing answers at 127.0.0.1:1"]),
        (["export", "--target", "tflight"], ["--target", "did you mean 'tflite'"]),
        (["export"], ["no trained run", "train one first"]),
        (["verify"], ["no trained run", "train one first"]),
        (["verify", "--run", "linear-x"], ["no run 'linear-x'"]),
    ],
)
def test_bad_usage_exits_with_two_and_names_the_next_step(tmp_path, arguments, words) -> None:
    result = run_toolkit(*arguments, cwd=tmp_path)
    assert result.code == 2
    assert result.err.startswith("error: ")
    assert len(result.err.splitlines()) <= 3
    for word in words:
        assert word in result.err
    assert not list(tmp_path.iterdir())


def test_bad_recipes_and_data_are_refused_before_anything_starts(tmp_path) -> None:
    runs = tmp_path / "runs"
    for values, targets, word in (
        ("[1, 2, float('nan')]", "[0, 1, 1]", "sample 2 holds NaN"),
        ("[1, 2, 3]", "[0, 1, 2]", "class 2 is out of range"),
        ("[1, 2, 3]", "[0, 1]", "3 samples, targets have 2"),
    ):
        result = run_toolkit("train", recipe_file(tmp_path, values, targets), "--runs-dir", runs)
        assert (result.code, word in result.err) == (2, True), result.err
    both = run_toolkit("train", recipe_file(tmp_path), "--framework", "both", "--runs-dir", runs)
    assert both.code == 2
    assert "no 'keras' builder" in both.err
    assert not runs.exists()


def test_an_error_is_json_too_where_json_was_asked_for(tmp_path) -> None:
    result = run_toolkit("export", "--json", cwd=tmp_path)
    assert result.json["exit_code"] == result.code == 2
    assert "train one first" in result.json["error"]


def test_a_place_that_cannot_be_written_is_named(tmp_path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = run_toolkit("train", "linear", "--runs-dir", blocked / "runs")
    assert result.code == 3
    assert str(blocked) in result.err
    assert "--runs-dir" in result.err


def test_a_full_disk_is_reported_and_nothing_is_half_written(linear_copy: Path, tmp_path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        subprocess.run(["cp", "-r", linear_copy, small], check=True)
        (small / "filler").write_bytes(b"x" * _free_bytes(small))
        before = (small / linear_copy.name / "run.json").read_bytes()
        result = run_toolkit("export", "--framework", "tf", "--opset", "17", "--runs-dir", small)
        assert result.code == 3
        assert "No space left" in result.err
        assert (small / linear_copy.name / "run.json").read_bytes() == before
        assert not list(small.rglob("*.tmp"))
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_version_and_help_name_every_command() -> None:
    assert run_toolkit("--version").out.startswith("toolkit, version")
    listed = run_toolkit("--help").out
    for command in ("train", "run", "export", "verify", "runs"):
        assert f"  {command} " in listed


def test_the_readme_example_is_the_tested_file() -> None:
    example = (ROOT / "docs" / "examples" / "own_model.py").read_text()
    assert f"```python\n{example}```" in (ROOT / "README.md").read_text()


def test_the_example_of_ones_own_model_trains_exports_and_proves_itself(tmp_path) -> None:
    recipe = ROOT / "docs" / "examples" / "own_model.py"
    result = run_toolkit("run", recipe, "--workers", "2", "--runs-dir", tmp_path, "--json")
    assert result.code == 0, result.err
    check("run", result.json)
    assert result.json["frameworks"]["torch"]["val_accuracy"] > 0.9
    assert len(result.json["checks"]) == 3
    assert all(check["passed"] for check in result.json["checks"])
    onnx_file = next(Path(result.json["run"], "exports").glob("*.onnx"))
    wine = "[14.2, 1.71, 2.43, 15.6, 127, 2.8, 3.06, 0.28, 2.29, 5.64, 1.04, 3.92, 1065]"
    asked = [sys.executable, ROOT / "edge" / "infer.py", onnx_file, "--input", wine]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("barolo")


def _free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
