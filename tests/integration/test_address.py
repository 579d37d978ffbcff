"""Training on a Ray cluster that is already there, its workers on several nodes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster_of_nodes import ENVIRONMENT, Node, RayNodes, namespaces_allowed
from tests.conftest import run_toolkit
from tests.integration.slow import Command, recipe_in
from toolkit.runs_folder import list_runs


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    """Two nodes of one CPU, with networks of their own where that is allowed."""
    with RayNodes(1, cpus=1, namespaces=namespaces_allowed()) as cluster:
        yield cluster


def workers(node: Node) -> list[int]:
    """The node's training processes."""
    found = []
    for process in node.processes():
        line = Path(f"/proc/{process}/cmdline")
        if line.exists() and line.read_text(errors="replace").startswith("ray::Worker"):
            found.append(process)
    return found


@pytest.mark.soak
@pytest.mark.parametrize("framework", ["tf", "torch"])
def test_a_recipe_trains_across_nodes(nodes: RayNodes, framework: str, tmp_path: Path) -> None:
    """One framework needs both CPUs, so that each node gets a worker."""
    command = subprocess.Popen(
        [
            *(sys.executable, "-m", "toolkit", "train", "linear", "--framework", framework),
            *("--workers", "2", "--address", nodes.address, "--runs-dir", str(tmp_path)),
        ],
        env=os.environ | ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen: set[int] = set()
    while command.poll() is None:
        seen |= {node.number for node in nodes.nodes if len(workers(node)) == 1}
        time.sleep(0.1)
    assert command.returncode == 0, command.communicate()[1]
    assert seen == {0, 1}
    (run,) = list_runs(tmp_path)
    facts = run.facts["frameworks"][framework]
    assert facts["world"] == 2
    assert facts["val_loss"] < 1e-6
    assert (run.path / "logs" / f"{framework}-rank1.log").is_file()  # nodes share this disk


def test_both_frameworks_share_a_cluster(nodes: RayNodes, tmp_path: Path) -> None:
    result = run_toolkit(
        *("train", "linear", "--framework", "both", "--workers", "2"),
        *("--address", nodes.address, "--runs-dir", tmp_path, "--json"),
        **ENVIRONMENT,
    )
    assert result.code == 0, result.err
    frameworks = result.json["frameworks"]
    assert {name: facts["world"] for name, facts in frameworks.items()} == {"tf": 2, "torch": 2}
    assert not any(workers(node) for node in nodes.nodes)


def test_more_workers_than_the_cluster_has_cpus_are_refused(
    nodes: RayNodes, tmp_path: Path
) -> None:
    result = run_toolkit(
        *("train", "linear", "--framework", "torch", "--workers", "9"),
        *("--address", nodes.address, "--runs-dir", tmp_path),
        **ENVIRONMENT,
    )
    assert result.code == 2
    assert "there are 2" in result.err
    assert list_runs(tmp_path) == []


def test_nothing_at_the_address_is_told_at_once(tmp_path: Path) -> None:
    begun = time.monotonic()
    result = run_toolkit("train", "--address", "127.0.0.1:1", "--runs-dir", tmp_path)
    assert result.code == 2
    assert "nothing answers at 127.0.0.1:1" in result.err
    assert time.monotonic() - begun < 20


@pytest.mark.soak
def test_a_killed_driver_frees_the_cluster_and_can_be_resumed(
    nodes: RayNodes, tmp_path: Path
) -> None:
    arguments = ("--framework", "torch", "--workers", "2", "--address", nodes.address)
    recipe = recipe_in(tmp_path, pause=0.1)
    command = Command(recipe, *arguments, "--runs-dir", tmp_path, **ENVIRONMENT)
    run = command.wait_for_epochs(tmp_path, {"torch"})
    command.end(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(workers(node) for node in nodes.nodes) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(workers(node) for node in nodes.nodes)

    options = ("--address", nodes.address, "--runs-dir", tmp_path)
    result = run_toolkit("train", "--resume", *options, **ENVIRONMENT)
    assert result.code == 0, result.err
    assert "going on from step" in result.err
    assert [row["epoch"] for row in run.rows("metrics")] == list(range(1, 101))
