"""The command line as a process: bad input, exit codes, and where results go."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.test_json import check
from tests.conftest import ROOT, run_toolkit
from toolkit.cli_train import _where


def test_bad_usage_exits_with_two_and_names_the_next_step(tmp_path) -> None:
    """Of a real process; tests/cli/test_manners.py has all the others."""
    result = run_toolkit("verify", "--run", "linear-x", cwd=tmp_path)
    assert result.code == 2
    assert result.err.startswith("error: there is no run 'linear-x'")
    assert not list(tmp_path.iterdir())


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
        result = run_toolkit(
            "export", "--framework", "tf", "--target", "tflite", "--runs-dir", small
        )
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
    options = ("--workers", "1", "--target", "onnx", "--runs-dir", tmp_path, "--json")
    result = run_toolkit("run", recipe, *options)
    assert result.code == 0, result.err
    check("run", result.json)
    assert result.json["frameworks"]["torch"]["val_accuracy"] > 0.9
    assert [check["passed"] for check in result.json["checks"]] == [True]
    onnx_file = next(Path(result.json["run"], "exports").glob("*.onnx"))
    wine = "[14.2, 1.71, 2.43, 15.6, 127, 2.8, 3.06, 0.28, 2.29, 5.64, 1.04, 3.92, 1065]"
    asked = [sys.executable, ROOT / "edge" / "infer.py", onnx_file, "--input", wine]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("barolo")


def _free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


@pytest.mark.parametrize(
    ("files", "named"),
    [(("net-micro", "net.tflite"), "exports/net.tflite"), (("net-micro",), None)],
)
def test_the_end_of_a_run_names_a_file_that_a_device_runs(tmp_path, files, named) -> None:
    source = SimpleNamespace(load=lambda: SimpleNamespace(probe=None))
    exports = [SimpleNamespace(file=f"exports/{name}") for name in files]
    said = _where(SimpleNamespace(path=tmp_path, exports=exports, source=source))
    assert [line for line in said.splitlines() if "device" in line] == (
        [f"on a device  python edge/infer.py {tmp_path / named} --input FILE"] if named else []
    )
