"""Stopping, killing and resuming from the command line, as a user or a scheduler does it."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import run_toolkit
from tests.integration.test_interrupt import marked_processes
from tests.train.real import RECIPE
from toolkit.artifacts import Run, list_runs

# Takes about five seconds, so that it can be stopped in the middle.
SLOW = """
import time
from toolkit import Callback

class Slow(Callback):
    def on_epoch_end(self, epoch, logs, model):
        time.sleep(PAUSE)
        return False

recipe = Recipe(
    name="small", data=data, keras=keras_model, torch=torch_model, loss="mse", metrics=("mae",),
    optimizer=Adam(0.01), schedule=Cosine(warmup_steps=3), epochs=100, global_batch=8,
    callbacks=lambda: [Slow()],
)
"""


def recipe_in(folder: Path, pause: float = 0.05) -> Path:
    path = folder / "small.py"
    path.write_text(RECIPE.replace("OPTIMIZER", "Adam(0.01)") + SLOW.replace("PAUSE", str(pause)))
    return path


class Command:
    """A `toolkit train` that runs in the background, its processes marked."""

    def __init__(self, *arguments: str | Path) -> None:
        self.mark = f"TOOLKIT_TEST_MARK={secrets.token_hex(8)}"
        name, value = self.mark.split("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "toolkit", "train", *map(str, arguments)],
            env=os.environ | {name: value},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_epochs(self, root: Path, frameworks: set[str], epochs: int = 10) -> Run:
        """Until every framework has trained some epochs."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.communicate()
            for run in list_runs(root):
                done = {r["framework"] for r in run.rows("metrics") if r["epoch"] >= epochs}
                if done >= frameworks:
                    return run
            time.sleep(0.05)
        raise AssertionError("no progress")

    def end(self, number: signal.Signals) -> str:
        """Send a signal, wait until nothing is left, and return the messages."""
        self.process.send_signal(number)
        self.process.wait(60)
        deadline = time.monotonic() + 30
        while (left := self._left(number)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left
        return "" if number == signal.SIGKILL else self.process.communicate(timeout=60)[1]

    def _left(self, number: signal.Signals) -> list[str]:
        names = []
        for each in marked_processes(self.mark):
            with contextlib.suppress(OSError):
                names.append(Path(f"/proc/{each}/cmdline").read_text().strip("\0 "))
        # two idle agents of Ray notice only after a minute that their cluster was killed
        agents = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
        return [name for name in names if number != signal.SIGKILL or name not in agents]


def trained_weights(run: Run, framework: str) -> list[np.ndarray]:
    from tests.train.real import weights
    from toolkit.train.reports import Trained

    name = {"tf": "model.keras", "torch": "model.safetensors"}[framework]
    return weights(Trained({name: run.read(f"{framework}/{name}")}, b"", {}, {}))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("undisturbed")
    options = ("--workers", "2", "--runs-dir", folder, "--json")
    result = run_toolkit("train", recipe_in(folder, pause=0.0), *options)
    assert result.code == 0, result.err
    return Run(Path(result.json["run"]))


def same_weights(run: Run, other: Run, framework: str) -> None:
    pairs = zip(trained_weights(run, framework), trained_weights(other, framework), strict=True)
    for one, two in pairs:
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)


def test_sigterm_saves_and_resuming_on_one_worker_ends_the_same(tmp_path, undisturbed) -> None:
    recipe = recipe_in(tmp_path)
    command = Command(recipe, "--workers", "2", "--runs-dir", tmp_path, "--ledger")
    run = command.wait_for_epochs(tmp_path, {"tf", "torch"})
    messages = command.end(signal.SIGTERM)
    assert command.process.returncode == 130
    assert f"toolkit train --resume {run.name}" in messages
    assert run.facts["status"] == "stopped"
    before = run.rows("metrics")

    result = run_toolkit("train", "--resume", "--workers", "1", "--runs-dir", tmp_path)
    assert result.code == 0, result.err
    assert "going on from step" in result.err
    for title in ("TensorFlow", "PyTorch"):
        assert f"{title}: each of 37 samples exactly once in each of 100 epochs" in result.err
    assert "(on 1 and 2 workers)" in result.err
    assert run.facts["status"] == "trained"
    assert [row["epoch"] for row in run.rows("metrics") if row["framework"] == "tf"] == [
        *range(1, 101)
    ]
    kept = [row for row in run.rows("metrics") if row in before]
    assert len(kept) == len(before)  # it went on where it had left: nothing was trained twice
    for framework in ("tf", "torch"):
        same_weights(run, undisturbed, framework)

    again = run_toolkit("train", "--resume", run.name, "--runs-dir", tmp_path)
    assert again.code == 2
    assert "is trained" in again.err


def test_a_killed_driver_leaves_no_process_and_can_be_resumed(tmp_path, undisturbed) -> None:
    recipe = recipe_in(tmp_path)
    arguments = ("--framework", "torch", "--workers", "2", "--runs-dir", tmp_path)
    command = Command(recipe, *arguments, "--checkpoint-every", "7")
    run = command.wait_for_epochs(tmp_path, {"torch"})
    second = run_toolkit("train", "--resume", run.name, "--runs-dir", tmp_path)
    assert second.code == 2
    assert "being trained by another process" in second.err
    command.end(signal.SIGKILL)
    assert run.facts["status"] == "training"

    result = run_toolkit("train", "--resume", "--runs-dir", tmp_path, "--json")
    assert result.code == 0, result.err
    assert result.json["frameworks"]["torch"]["world"] == 2
    epochs = [row["epoch"] for row in run.rows("metrics")]
    assert epochs == list(range(1, 101))
    same_weights(run, undisturbed, "torch")


def test_resuming_refuses_what_would_change_the_training(tmp_path) -> None:
    recipe = recipe_in(tmp_path)
    command = Command(recipe, "--framework", "torch", "--workers", "1", "--runs-dir", tmp_path)
    run = command.wait_for_epochs(tmp_path, {"torch"}, epochs=2)
    command.end(signal.SIGINT)
    options = ("--resume", run.name, "--runs-dir", tmp_path)
    for extra in (("--epochs", "3"), ("--checkpoint-dir", "elsewhere"), ("--seed", "1")):
        result = run_toolkit("train", *options, *extra)
        assert result.code == 2
        assert f"{extra[0]} cannot be given with --resume" in result.err

    facts = json.loads((run.path / "run.json").read_text())
    facts["data"]["sha256"] = "0" * 64
    (run.path / "run.json").write_text(json.dumps(facts))
    result = run_toolkit("train", *options)
    assert result.code == 2
    assert "the data of recipe 'small' are not those" in result.err
    assert list((run.path / "checkpoints" / "torch").glob("step-*"))  # nothing was lost


BATCH_NORM = """
def normalised():
    from torch import nn
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))

recipe = Recipe(name="small", data=data, torch=normalised, loss="mse", epochs=4, global_batch=8)
"""


def test_prove(tmp_path) -> None:
    good = run_toolkit("train", recipe_in(tmp_path), "--prove", "--workers", "2", "--json")
    assert good.code == 0, good.err
    assert good.json["passed"] is True
    assert [proof["framework"] for proof in good.json["proofs"]] == ["tf", "torch"]
    for proof in good.json["proofs"]:
        assert (proof["workers"], proof["steps"]) == (2, 20)
        assert 0 <= proof["difference"] < 1e-5

    bad = tmp_path / "bad.py"
    bad.write_text(RECIPE.replace("OPTIMIZER", "Adam(0.01)") + BATCH_NORM)
    result = run_toolkit("train", bad, "--prove", "--workers", "2")
    assert result.code == 1
    assert "changes what PyTorch trains" in result.err
    assert "statistics" in result.out  # the known cause is named
