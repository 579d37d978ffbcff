"""Stopping, killing and resuming from the command line, as a user or a scheduler does it."""

import json
import signal

import pytest

from tests.conftest import run_toolkit
from tests.integration.slow import Command, recipe_in, same_weights
from tests.train.real import RECIPE
from toolkit.runs import list_runs


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
