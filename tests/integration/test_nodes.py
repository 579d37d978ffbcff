"""A machine is lost in the middle and another joins: the training ends as if undisturbed."""

import re
import time
from pathlib import Path

import pytest

from tests.cluster_of_nodes import ENVIRONMENT, RayNodes
from tests.integration.slow import Command, recipe_in, same_weights
from toolkit.runs import Run


def wait_for(command: Command, run: Run, condition, seconds: float = 90) -> None:
    """Until `condition` holds for the rows of the run."""
    deadline = time.monotonic() + seconds
    while not condition(run.rows("metrics")):
        assert command.process.poll() is None, command.process.communicate()[1]
        assert time.monotonic() < deadline, run.rows("metrics")[-1:]
        time.sleep(0.1)


@pytest.mark.soak
@pytest.mark.parametrize("framework", ["tf", "torch"])
def test_a_lost_node_shrinks_the_training_and_a_new_one_grows_it(
    tmp_path: Path, undisturbed: Run, framework: str
) -> None:
    with RayNodes(1, cpus=1) as nodes:
        command = Command(
            *(recipe_in(tmp_path, pause=0.2), "--framework", framework, "--workers", "1:2"),
            *("--address", nodes.address, "--runs-dir", tmp_path, "--ledger"),
            *("--checkpoint-every", "epoch"),
            **ENVIRONMENT,
        )
        run = command.wait_for_epochs(tmp_path, {framework}, epochs=4)
        nodes.kill(nodes.nodes[1])
        lost_at = run.rows("metrics")[-1]["epoch"]
        wait_for(command, run, lambda rows: rows[-1]["epoch"] > lost_at + 4)
        nodes.add()
        _, messages = command.process.communicate(timeout=180)
    assert command.process.returncode == 0, messages
    steps = [int(n) for n in re.findall(r"going on from step \d+ with (\d) worker", messages)]
    assert steps == [1, 2]
    assert "the cluster has room for more workers" in messages
    assert "each of 37 samples exactly once in each of 100 epochs (on 1 and 2 workers)" in messages
    facts = run.facts["frameworks"][framework]
    assert facts["world"] == 2
    assert len(facts["failures"]) == 1
    same_weights(run, undisturbed, framework)


@pytest.mark.soak
def test_a_fixed_number_of_workers_waits_for_another_node(tmp_path, undisturbed) -> None:
    with RayNodes(1, cpus=1) as nodes:
        command = Command(
            *(recipe_in(tmp_path, pause=0.1), "--framework", "torch", "--workers", "2"),
            *("--address", nodes.address, "--runs-dir", tmp_path),
            **ENVIRONMENT,
        )
        run = command.wait_for_epochs(tmp_path, {"torch"}, epochs=8)
        nodes.kill(nodes.nodes[1])
        time.sleep(8)
        assert command.process.poll() is None
        nodes.add()
        _, messages = command.process.communicate(timeout=180)
    assert command.process.returncode == 0, messages
    assert re.search(r"going on from step \d+ with 2 workers", messages)
    same_weights(run, undisturbed, "torch")
