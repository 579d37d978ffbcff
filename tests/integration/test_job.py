"""`toolkit train` as a Ray job: submitted over HTTP, watched, stopped, and gone on with."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster_of_nodes import ENVIRONMENT, RAY, RayNodes, free_port
from tests.conftest import ROOT
from toolkit.runs import Run
from toolkit.runs_folder import list_runs

TOOLKIT = Path(sys.executable).with_name("toolkit")
SECONDS = 120.0


class Jobs:
    """A cluster that takes jobs, used as `ray job` uses it.

    Attributes:
        nodes: the cluster.
    """

    def __init__(self, nodes: RayNodes, port: int) -> None:
        self.nodes, self._address = nodes, f"http://127.0.0.1:{port}"

    def ray_job(self, verb: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(RAY), "job", verb, "--address", self._address, *map(str, arguments)],
            env=os.environ | ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def status(self, name: str) -> str:
        done = self.ray_job("status", name)
        return (done.stdout + done.stderr).lower()


@pytest.fixture(scope="module")
def jobs() -> Iterator[Jobs]:
    port = free_port()
    with RayNodes(0, cpus=2, dashboard_port=port) as nodes:
        found = Jobs(nodes, port)
        wait_until(lambda: found.ray_job("submit", "--", "true").returncode == 0)
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a user submits: a recipe, and a file of theirs that it imports."""
    work = tmp_path / "work"
    work.mkdir()
    source = (ROOT / "toolkit/recipes/linear.py").read_text()
    assert "epochs=500," in source
    recipe = source.replace("epochs=500,", "epochs=EPOCHS,")
    (work / "mine.py").write_text(
        recipe.replace("\nimport numpy", "\nfrom mylib import EPOCHS\nimport numpy")
    )
    (work / "mylib.py").write_text("EPOCHS = 60\n")
    return work


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def only_run(root: Path) -> Run:
    (run,) = list_runs(root)
    return run


def workers(jobs: Jobs) -> list[int]:
    """Training processes, found as deploy/kubernetes finds them: pgrep -f ^ray::Worker."""
    (head,) = jobs.nodes.nodes
    return [each for each in head.processes() if read(each, "cmdline").startswith("ray::Worker")]


def drivers(jobs: Jobs) -> list[int]:
    """Commands that train, found as deploy/kubernetes finds them: pgrep -x toolkit."""
    (head,) = jobs.nodes.nodes
    return [each for each in head.processes() if read(each, "comm") == "toolkit\n"]


def read(process: int, name: str) -> str:
    try:
        return Path(f"/proc/{process}/{name}").read_text(errors="replace")
    except OSError:  # it has ended
        return ""


@pytest.mark.soak
def test_a_job_trains_and_brings_the_users_files_along(
    jobs: Jobs, folder: Path, tmp_path: Path
) -> None:
    training = ("train", "mine.py", "--framework", "torch", "--workers", "2", "--address", "auto")
    done = jobs.ray_job(
        *("submit", "--submission-id", "first", "--working-dir", folder, "--"),
        *(TOOLKIT, *training, "--runs-dir", tmp_path / "runs"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in jobs.status("first")
    facts = only_run(tmp_path / "runs").facts
    assert facts["status"] == "trained"
    assert facts["epochs"] == 60
    assert facts["frameworks"]["torch"]["world"] == 2
    wait_until(lambda: not workers(jobs))


@pytest.mark.soak
def test_a_mistake_fails_the_job_and_its_log_says_why(jobs: Jobs, folder: Path) -> None:
    done = jobs.ray_job(
        *("submit", "--submission-id", "wrong", "--working-dir", folder, "--"),
        *(TOOLKIT, "train", "other.py", "--address", "auto"),
    )
    assert done.returncode != 0
    assert "failed" in jobs.status("wrong")
    assert "other.py" in jobs.ray_job("logs", "wrong").stdout


@pytest.mark.soak
def test_a_stopped_job_saves_leaves_and_goes_on(jobs: Jobs, folder: Path, tmp_path: Path) -> None:
    (folder / "mylib.py").write_text("EPOCHS = 100_000\n")
    runs = ("--address", "auto", "--workers", "2", "--runs-dir", tmp_path / "runs")
    first = start_and_stop(jobs, folder, "long", "mine.py", "--framework", "torch", *runs)
    second = start_and_stop(jobs, folder, "longer", "--resume", *runs)
    assert f"going on from step {first}" in jobs.ray_job("logs", "longer").stdout
    assert second > first
    assert only_run(tmp_path / "runs").facts["status"] == "stopped"


def start_and_stop(jobs: Jobs, folder: Path, name: str, *arguments: str | Path) -> int:
    """Train for a moment; return the step after which it left."""
    root = Path(arguments[-1])
    before = sum(len(run.rows("metrics")) for run in list_runs(root))
    started = jobs.ray_job(
        *("submit", "--no-wait", "--submission-id", name, "--working-dir", folder, "--"),
        *(TOOLKIT, "train", *arguments),
    )
    assert started.returncode == 0, started.stderr
    wait_until(lambda: sum(len(run.rows("metrics")) for run in list_runs(root)) > before)
    assert len(workers(jobs)) == 2
    assert len(drivers(jobs)) == 1

    stopped = jobs.ray_job("stop", name)  # waits until it has stopped
    assert stopped.returncode == 0, stopped.stderr
    assert "stopped" in jobs.status(name)
    wait_until(lambda: not workers(jobs) and not drivers(jobs))
    log = jobs.ray_job("logs", name).stdout
    (step,) = re.findall(r"stopped PyTorch after step (\d+)", log)
    return int(step)
