"""What tests share: one Ray cluster in this process, the command line as a process, two runs."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# A slow machine is no bug.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

# Two cores are shared by everything that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Hundreds of processes import the same modules: let the first one keep what it compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@dataclass(frozen=True)
class Result:
    """A finished command: exit code, stdout, stderr, and stdout as JSON where it was asked for."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run_toolkit(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> Result:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | environment,
        timeout=300,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def linear_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of `toolkit run linear`: both frameworks, two workers, four files."""
    return _run("linear", tmp_path_factory)


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of `toolkit run digits`."""
    return _run("digits", tmp_path_factory)


@pytest.fixture
def linear_copy(linear_run: Path, tmp_path: Path) -> Path:
    """A copy of the linear run that a test may damage."""
    copy = tmp_path / "runs" / linear_run.name
    shutil.copytree(linear_run, copy)
    return copy


@pytest.fixture(scope="session")
def ray_cluster():
    """Ray, started once in this process."""
    from toolkit.train import cluster

    with cluster.connect(None, verbose=False):
        yield


def _run(recipe: str, factory: pytest.TempPathFactory) -> Path:
    root = factory.mktemp(recipe)
    result = run_toolkit("run", recipe, "--workers", "2", "--runs-dir", root, "--json")
    assert result.code == 0, result.err
    return Path(result.json["run"])
