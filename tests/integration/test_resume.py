"""Stopping, killing and resuming from the command line, as a user or a scheduler does it."""

import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import run_toolkit
from tests.integration.slow import Command, recipe_in, same_weights
from tests.train.real import RECIPE
from toolkit.runs import Run
from toolkit.runs_folder import list_runs


@dataclass(frozen=True)
class Stopped:
    """A training that SIGTERM ended in the middle, and what it said then."""

    run: Run
    messages: str
    code: int


def stopped_by_sigterm(folder: Path, *arguments: str) -> Stopped:
    options = ("--workers", "2", "--runs-dir", folder, "--ledger")
    command = Command(recipe_in(folder), *arguments, *options)
    frameworks = {"torch"} if arguments else {"tf", "torch"}
    run = command.wait_for_epochs(folder, frameworks)
    return Stopped(run, command.end(signal.SIGTERM), command.process.returncode)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Stopped:
    return stopped_by_sigterm(tmp_path_factory.mktemp("stopped"), "--framework", "torch")


def assert_saved(stopped: Stopped) -> None:
    assert stopped.code == 130
    assert f"toolkit train --resume {stopped.run.name}" in stopped.messages
    assert stopped.run.facts["status"] == "stopped"


def assert_goes_on(run: Run, titles: dict[str, str]) -> None:
    """On one worker, from where it was left to the end."""
    before = run.rows("metrics")
    result = run_toolkit("train", "--resume", "--workers", "1", "--runs-dir", run.path.parent)
    assert result.code == 0, result.err
    assert "going on from step" in result.err
    for title in titles.values():
        assert f"{title}: each of 37 samples exactly once in each of 100 epochs" in result.err
    assert "(on 1 and 2 workers)" in result.err
    assert run.facts["status"] == "trained"
    for framework in titles:
        rows = [row for row in run.rows("metrics") if row["framework"] == framework]
        assert [row["epoch"] for row in rows] == [*range(1, 101)]
    kept = [row for row in run.rows("metrics") if row in before]
    assert len(kept) == len(before)  # it went on where it had left: nothing was trained twice


def test_sigterm_saves(stopped) -> None:
    assert_saved(stopped)


def test_other_data_are_refused_and_nothing_is_lost(tmp_path, stopped) -> None:
    run = Run(tmp_path / stopped.run.name)
    shutil.copytree(stopped.run.path, run.path)
    run.update(data=run.facts["data"] | {"sha256": "0" * 64})
    result = run_toolkit("train", "--resume", run.name, "--runs-dir", tmp_path)
    assert result.code == 2
    assert "the data of recipe 'small' are not those" in result.err
    assert list((run.path / "checkpoints" / "torch").glob("step-*"))


def test_resuming_on_one_worker_trains_what_is_left(tmp_path, stopped) -> None:
    run = Run(tmp_path / stopped.run.name)
    shutil.copytree(stopped.run.path, run.path)
    assert_goes_on(run, {"torch": "PyTorch"})
    again = run_toolkit("train", "--resume", run.name, "--runs-dir", tmp_path)
    assert again.code == 2
    assert "is trained" in again.err


@pytest.mark.soak
def test_both_frameworks_go_on_and_end_the_same(tmp_path, undisturbed) -> None:
    stopped = stopped_by_sigterm(tmp_path)
    assert_saved(stopped)
    assert_goes_on(stopped.run, {"tf": "TensorFlow", "torch": "PyTorch"})
    for framework in ("tf", "torch"):
        same_weights(stopped.run, undisturbed, framework)


@pytest.mark.soak
def test_a_killed_driver_leaves_no_process_and_can_be_resumed(tmp_path, undisturbed) -> None:
    recipe = recipe_in(tmp_path, pause=0.15)
    arguments = ("--framework", "torch", "--workers", "2", "--runs-dir", tmp_path)
    command = Command(recipe, *arguments, "--checkpoint-every", "7", "--ledger")
    run = command.wait_for_epochs(tmp_path, {"torch"})
    second = run_toolkit("train", "--resume", run.name, "--runs-dir", tmp_path)
    assert second.code == 2
    assert "being trained by another process" in second.err
    command.end(signal.SIGKILL)
    assert run.facts["status"] == "training"

    result = run_toolkit("train", "--resume", "--runs-dir", tmp_path, "--json")
    assert result.code == 0, result.err
    assert result.json["frameworks"]["torch"]["world"] == 2
    assert all(row["once"] == row["samples"] == 37 for row in run.rows("ledger"))
    assert len(run.rows("ledger")) == 100
    epochs = [row["epoch"] for row in run.rows("metrics")]
    assert epochs == list(range(1, 101))
    same_weights(run, undisturbed, "torch")


ONE_FAILS = """
def failing_loss():
    def loss(outputs, targets):
        raise ValueError("the loss is broken")
    return loss

def keras_loss():
    return lambda targets, outputs: ((outputs - targets) ** 2)[:, 0]

recipe = Recipe(
    name="small", data=data, keras=keras_model, torch=torch_model, epochs=1_000_000, global_batch=8,
    loss=PerFramework(keras=keras_loss, torch=failing_loss),
)
"""


@pytest.mark.soak
def test_when_one_framework_fails_for_good_the_other_is_ended(tmp_path) -> None:
    recipe = tmp_path / "fails.py"
    recipe.write_text(RECIPE.replace("OPTIMIZER", "Adam(0.01)") + ONE_FAILS)
    result = run_toolkit("train", recipe, "--workers", "2", "--runs-dir", tmp_path)
    assert result.code == 3
    assert "the loss is broken" in result.err
    assert "before it trained a step" in result.err
    (run,) = list_runs(tmp_path)
    assert run.facts["status"] == "failed"


BATCH_NORM = """
def normalised():
    from torch import nn
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))

recipe = Recipe(name="small", data=data, torch=normalised, loss="mse", epochs=4, global_batch=8)
"""


@pytest.mark.soak
@pytest.mark.parametrize("framework", ["torch", "both"])
def test_a_proof_that_one_and_two_workers_train_the_same(tmp_path, framework) -> None:
    options = ("--prove", "--workers", "2", "--framework", framework, "--json")
    good = run_toolkit("train", recipe_in(tmp_path), *options)
    assert good.code == 0, good.err
    assert good.json["passed"] is True
    expected = ["tf", "torch"] if framework == "both" else [framework]
    assert [proof["framework"] for proof in good.json["proofs"]] == expected
    for proof in good.json["proofs"]:
        assert (proof["workers"], proof["steps"]) == (2, 20)
        assert 0 <= proof["difference"] < 1e-5


@pytest.mark.soak
def test_a_proof_that_fails_names_the_layer(tmp_path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(RECIPE.replace("OPTIMIZER", "Adam(0.01)") + BATCH_NORM)
    result = run_toolkit("train", bad, "--prove", "--workers", "2")
    assert result.code == 1
    assert "changes what PyTorch trains" in result.err
    assert "statistics" in result.out  # the known cause is named
