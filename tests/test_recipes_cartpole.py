"""The recipe that learns from its own games: its arithmetic, and from training to the device."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import run_toolkit
from toolkit import games
from toolkit.data.evidence import calibrate, evidence_of
from toolkit.games import Games
from toolkit.recipes import cartpole
from toolkit.runs import Run


def shrug(states):
    """A policy without an opinion, that expects 0 steps."""
    return np.zeros((len(states), 2), np.float32)


@pytest.fixture(scope="module")
def rollout():
    return cartpole.play(shrug, 1, 0)


def test_a_player_brings_what_it_saw_did_and_thought(rollout):
    actions, logs = rollout.targets[:, 0], rollout.targets[:, 1]
    assert rollout.inputs.shape == (cartpole.GAMES * cartpole.STEPS, 4)
    assert rollout.targets.shape == (cartpole.GAMES * cartpole.STEPS, 4)
    assert set(actions.tolist()) == {0, 1}
    assert abs(actions.mean() - 0.5) < 0.05
    np.testing.assert_allclose(logs, np.log(0.5))
    assert rollout.scores["return"].shape == (cartpole.GAMES,)
    assert 8 <= rollout.scores["return"].min() < rollout.scores["return"].max() < 200


def test_a_player_plays_the_same_again_and_others_play_otherwise(rollout):
    again, other = cartpole.play(shrug, 1, 0), cartpole.play(shrug, 1, 1)
    np.testing.assert_array_equal(again.inputs, rollout.inputs)
    np.testing.assert_array_equal(again.targets, rollout.targets)
    assert not np.array_equal(other.inputs, rollout.inputs)


def test_a_return_counts_the_steps_to_come_until_the_pole_falls(rollout):
    """Where nothing is expected, the advantage is the sum of what comes, twice discounted."""
    gains = rollout.targets[:, 2].reshape(cartpole.STEPS, cartpole.GAMES)
    for game, steps in enumerate(rollout.scores["return"].astype(int)):
        factor = cartpole.DISCOUNT * cartpole.SMOOTHING
        expected = [(1 - factor ** (steps - step)) / (1 - factor) for step in range(steps)]
        np.testing.assert_allclose(gains[:steps, game], expected)


def test_advantages_are_those_of_the_textbook():
    random = np.random.default_rng(0)
    surprises, over = random.normal(size=(9, 2)), random.random((9, 2)) < 0.3
    gains = cartpole.advantages(surprises, over)
    for game in range(2):
        for first in range(9):
            total, factor = 0.0, 1.0
            for step in range(first, 9):
                total += factor * surprises[step, game]
                factor *= cartpole.DISCOUNT * cartpole.SMOOTHING
                if over[step, game]:
                    break
            assert gains[first, game] == pytest.approx(total)


def test_games_begin_anew_and_count_their_first_episode_only():
    first = Games(3, seed=5)
    for _ in range(100):
        first.step(np.ones(3, int))  # always to the right: falls after about ten steps
    assert not first.open.any()
    assert 7 < first.returns.min() <= first.returns.max() < 13
    assert np.abs(first.states).max() < 4
    np.testing.assert_array_equal(Games(3, seed=5).states[1], Games(5, seed=3).states[1])


def test_the_simple_controller_is_no_bad_one():
    split = cartpole.steered(256, seed=1)
    assert split.inputs.shape == (256, 4)
    assert 0.3 < split.targets[:, 0].mean() < 0.7


@pytest.fixture(scope="module", params=["tf", pytest.param("torch", marks=pytest.mark.soak)])
def short_run(tmp_path_factory, request):
    """Two rounds of training, in one framework, and its files."""
    root = tmp_path_factory.mktemp("cartpole")
    options = ("--epochs", str(2 * cartpole.PASSES), "--workers", "2", "--framework", request.param)
    result = run_toolkit("run", "cartpole", *options, "--runs-dir", root, "--json")
    assert result.code == 0, result.err
    return Run(Path(result.json["run"]))


def test_a_policy_gets_better_from_its_own_games(short_run):
    returns = [row["play_return"] for row in short_run.rows("metrics")]
    assert len(returns) == 2 * cartpole.PASSES
    assert returns == sorted(returns)
    assert 15 < returns[0] < 30 < returns[-1]
    (facts,) = short_run.facts["frameworks"].values()
    assert facts["play_return"] == returns[-1]


def test_exported_policies_pass_and_play_without_a_framework(short_run, capsys):
    assert short_run.verification["passed"]
    files = sorted(map(str, (short_run.path / "exports").iterdir()))
    assert len(files) == 2
    assert games.main([*files, "--episodes", "20", "--least", "501"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == files
    assert all(line.endswith(" of 500") for line in lines)
    assert all(20 < games.mean_return(file, 20) <= 500 for file in files)
    assert games.main([files[0], "--episodes", "20", "--least", "20"]) == 0


def test_calibration_takes_the_example(short_run):
    calibration = calibrate(evidence_of(short_run), short_run.card)
    assert calibration.inputs["state"].shape == (256, 4)


@pytest.mark.parametrize("wrong", [["missing.tflite"], ["x", "--episodes", "0"]])
def test_playing_with_something_else_says_so(wrong, capsys):
    with pytest.raises(SystemExit, match="2"):
        games.main(wrong)
    assert "error: " in capsys.readouterr().err


def test_a_file_that_takes_no_states_is_refused(linear_run, capsys):
    with pytest.raises(SystemExit, match="2"):
        games.main([str(next((linear_run / "exports").iterdir()))])
    assert "error: " in capsys.readouterr().err


@pytest.mark.soak
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_the_game_is_solved_in_every_framework_and_precision(tmp_path, workers, seed):
    arguments = ("--workers", workers, "--seed", seed, "--precision", "fp32", "--precision", "int8")
    result = run_toolkit("run", "cartpole", *arguments, "--runs-dir", tmp_path, "--json")
    assert result.code == 0, result.err
    files = sorted((Path(result.json["run"]) / "exports").iterdir())
    assert len(files) == 8
    for file in files:
        assert games.mean_return(str(file), 100) >= 475, file
