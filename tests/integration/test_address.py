"""Training on a Ray cluster that is already there."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import run_toolkit
from toolkit.artifacts import list_runs

ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.fixture
def address():
    """Head of a cluster of one node, started the way a user starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ray = Path(sys.executable).with_name("ray")
    head = subprocess.Popen(
        [
            *(ray, "start", "--head", "--block", f"--port={port}", "--num-cpus=2"),
            *("--node-ip-address=127.0.0.1", "--include-dashboard=false"),
        ],
        env=os.environ | ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    yield f"127.0.0.1:{port}"
    head.terminate()
    head.wait(60)


def test_a_recipe_trains_on_an_existing_cluster(address: str, tmp_path: Path) -> None:
    arguments = ("train", "linear", "--framework", "torch", "--workers", "2")
    result = run_toolkit(
        *arguments, "--address", address, "--runs-dir", tmp_path, "--json", **ENVIRONMENT
    )
    assert result.code == 0, result.err
    assert result.json["frameworks"]["torch"]["world"] == 2
    (run,) = list_runs(tmp_path)
    assert run.facts["status"] == "trained"

    too_many = run_toolkit(
        *arguments[:-1], "9", "--address", address, "--runs-dir", tmp_path, **ENVIRONMENT
    )
    assert too_many.code == 2
    assert "there are 2" in too_many.err
