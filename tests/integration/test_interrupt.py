"""Ctrl-C and SIGTERM in the middle of training: a clean end, and no process left behind."""

import os
import secrets
import signal
import subprocess
import sys
import time

import pytest

from tests.cluster_of_nodes import marked
from toolkit.runs_folder import list_runs


def heed_interrupts() -> None:
    """A process whose parent runs in the background would ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)]
)
def test_an_interrupted_run_leaves_no_process_behind(tmp_path, number: signal.Signals) -> None:
    mark = f"TOOLKIT_TEST_MARK={secrets.token_hex(8)}"
    name, value = mark.split("=")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "toolkit", "train", "digits", "--framework", "torch"),
            *("--workers", "2", "--epochs", "100000", "--runs-dir", str(tmp_path)),
        ],
        env=os.environ | {name: value},
        preexec_fn=heed_interrupts,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/metrics.jsonl")):  # until it really trains
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(number)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "go on with: toolkit train --resume" in messages
    assert "Traceback" not in messages
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not marked(mark)
    (run,) = list_runs(tmp_path)
    assert run.facts["status"] == "stopped"
    assert list((run.path / "checkpoints" / "torch").glob("step-*"))
