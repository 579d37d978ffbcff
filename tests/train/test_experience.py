"""Samples that players bring: the same on any world, resumable, and never mixed with older ones."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.train.real import source, weights
from tests.train.real import train as train_really
from toolkit import Callback, Data, Experience, Rollout, Split
from toolkit.data.load import load
from toolkit.data.plan import SamplePlan
from toolkit.errors import DataError, ToolkitError
from toolkit.train.control import Control
from toolkit.train.reports import Left
from toolkit.train.settings import Settings
from toolkit.train.state import State

RATE = 0.05
PLAYERS, EACH, PASSES = 4, 6, 2
PER_EPOCH = 5  # steps: 24 samples in batches of 5, the last one of 4
PER_ROUND = PASSES * PER_EPOCH


def play(policy, player, number):
    """Inputs by player and round; targets by what the model says of them."""
    x = np.random.default_rng([player, number]).normal(size=(EACH, 2))
    outputs = policy(x)[:, 0]
    return Rollout(x, x @ [2.0, -1.0] + 0.5 * np.tanh(outputs), {"return": outputs[:player]})


def settle(targets):
    return targets - targets.mean()


@pytest.fixture(scope="module")
def example():
    x = np.random.default_rng(7).normal(size=(11, 2))
    return Split(x, x[:, 0])


@pytest.fixture
def experience(example):
    return Experience(
        play, example, PLAYERS * EACH, PLAYERS, PASSES, scores=("return",), settle=settle
    )


@pytest.fixture
def played(job, experience):
    """A recipe of 3 rounds: played(epochs=4, play=...); fields of the experience or the recipe."""
    validation = job().data().validation

    def make(**fields):
        own = {name: fields.pop(name) for name in [*fields] if hasattr(experience, name)}
        data = Data(replace(experience, **own), validation)
        return job(**{"data": lambda: data, "epochs": 6} | fields)

    return make


def plain():
    """Weights and mean returns by round, from the textbook alone."""
    plan, w, returns = SamplePlan(PLAYERS * EACH, 5, 0), np.zeros(3), []
    for number in range(3):

        def policy(x, w=w):
            return np.c_[np.float32(x), np.ones(len(x))] @ w[:, None]

        rollouts = [play(policy, player, number) for player in range(PLAYERS)]
        returns.append(np.concatenate([each.scores["return"] for each in rollouts]).mean())
        x = np.concatenate([each.inputs for each in rollouts]).astype(np.float32)
        y = settle(np.concatenate([each.targets for each in rollouts]))
        x = np.c_[x.astype(float), np.ones(len(x))]
        for epoch in range(number * PASSES, (number + 1) * PASSES):
            for step in range(PER_EPOCH):
                ids = plan.batch(epoch, step)
                w = w - RATE * 2 * (x[ids] @ w - y[ids]) @ x[ids] / len(ids)
    return w, returns


@pytest.mark.parametrize(("world", "replicas"), [(1, 1), (2, 1), (3, 1), (7, 1), (2, 3)])
def test_any_world_plays_and_learns_as_one_worker_does(train, played, world, replicas):
    expected, returns = plain()
    done = train(played(), world, replicas)
    np.testing.assert_allclose(done.weights, expected, rtol=1e-5, atol=1e-7)
    for adapter in done.adapters:
        assert adapter.weights.tolist() == done.weights.tolist()
    got = [row["play_return"] for row in done.rows]
    np.testing.assert_allclose(got, np.repeat(returns, PASSES), rtol=1e-5, atol=1e-7)
    assert done.trained.metrics["play_return"] == got[-1]
    assert done.trained.facts["seconds_played"] > 0


def test_each_player_plays_once_a_round_and_only_on_its_rank(train, played):
    seen = []

    def watched(policy, player, number):
        seen.append((number, player))
        return play(policy, player, number)

    done = train(played(play=watched), 3)
    assert sorted(seen) == [(number, player) for number in range(3) for player in range(PLAYERS)]
    ends = {steps.first + len(steps) for (steps,) in done.adapters[0].chunks}
    assert set(range(PER_ROUND, 3 * PER_ROUND + 1, PER_ROUND)) <= ends  # no chunk crosses a round


@pytest.mark.parametrize("every", [1, 3, "epoch"])
@pytest.mark.parametrize("world", [1, 3])
def test_going_on_from_any_checkpoint_ends_the_same(train, played, world, every):
    whole = train(played())
    saved = train(played(), 2, settings=Settings(checkpoint_every=every))
    for state in saved.checkpoints[:-1]:
        travelled = State(state.step, dict(state.arrays), json.loads(json.dumps(state.facts)))
        assert any("round" in name for name in state.arrays) == (state.step % PER_ROUND > 0)
        rest = train(played(), world, state=travelled)
        np.testing.assert_allclose(rest.weights, whole.weights, rtol=1e-5)
        expected = [row for row in whole.rows if row["step"] > state.step]
        for got, want in zip(rest.rows, expected, strict=True):
            assert got == pytest.approx(want, rel=1e-5)


def test_one_world_goes_on_bit_for_bit(train, played):
    whole = train(played(), 2)
    saved = train(played(), 2, settings=Settings(checkpoint_every=4))
    for state in saved.checkpoints[:-1]:
        assert train(played(), 2, state=state).weights.tolist() == whole.weights.tolist()


def test_being_asked_to_leave_while_playing_saves_and_leaves(train, played):
    controls = [Control(), Control()]

    def asking(policy, player, number):
        controls[0].leave = number == 1
        return play(policy, player, number)

    done = train(played(play=asking), 2, controls=controls)
    (left,) = done.of(Left)
    assert PER_ROUND < left.step < 2 * PER_ROUND
    rest = train(played(), state=done.checkpoints[-1])
    np.testing.assert_allclose(rest.weights, train(played()).weights, rtol=1e-5)


def test_the_ledger_counts_every_sample_once_an_epoch(train, played):
    done = train(played(), 2, settings=Settings(ledger=True))
    rows = [row for progress in done.progress for row in progress.ledger]
    assert [(row["samples"], row["once"]) for row in rows] == [(PLAYERS * EACH,) * 2] * 6


def test_callbacks_may_stop_by_a_score(train, played):
    class Enough(Callback):
        def on_epoch_end(self, epoch, logs, model):
            return logs["play_return"] != 0  # the first model answers 0

    done = train(played(callbacks=lambda: [Enough()]), 2)
    assert done.trained.facts["epochs"] == PASSES + 1


def test_scores_that_nobody_brought_are_left_out(train, played):
    def silent(policy, player, number):
        return replace(play(policy, player, number), scores={"return": []})

    done = train(played(play=silent))
    assert all("play_return" not in row for row in done.rows)
    assert done.progress[-1].scores == {}


def test_players_give_raw_inputs_and_the_model_gets_them_prepared(train, played):
    steps = ({"step": "scale", "factor": 0.5},)

    def doubled(policy, player, number):
        rollout = play(lambda x: policy({"input": 2 * x}), player, number)
        return replace(rollout, inputs=2 * rollout.inputs)

    done = train(played(play=doubled, preprocessing=steps), 2)
    np.testing.assert_allclose(done.weights, plain()[0], rtol=1e-5, atol=1e-7)


def test_class_weights_follow_the_targets_that_were_brought(train, played, adapter_class):
    class Classes(adapter_class):
        def predict(self, inputs):
            return np.repeat(super().predict(inputs), 2, axis=1)

        def losses(self, outputs, targets):
            return np.zeros(len(outputs))

        def train(self, chunks):
            seen.append(chunks[0])
            return np.zeros(len(chunks[0]))

    def choose(policy, player, number):
        x = np.full((EACH, 2), player)
        policy(x)
        return Rollout(x, np.arange(EACH) % 2)

    seen = []
    split = Split(np.zeros((4, 2), int), np.arange(4) % 2)
    own = Experience(choose, split, PLAYERS * EACH, PLAYERS)
    fields = {"data": lambda: Data(own, split), "epochs": 2, "loss": "cross_entropy"}
    train(played(metrics=(), class_weights={1: 5.0}, **fields), 2, adapter=Classes)
    targets = np.concatenate([chunk.targets.ravel() for chunk in seen])
    factors = np.concatenate([chunk.weights.ravel() for chunk in seen])
    assert targets.dtype == np.int64
    assert factors.tolist() == np.where(targets == 1, 5, 1).tolist()
    assert {chunk.inputs["input"].dtype for chunk in seen} == {split.inputs.dtype}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"inputs": np.zeros((5, 2)), "targets": np.zeros(5)}, r"brought 5 samples.* bring 6"),
        ({"inputs": np.zeros((6, 3))}, r"player [03], round 0, input 'input': .*\(3,\).*\(2,\)"),
        ({"inputs": np.zeros((6, 2), np.int8)}, "is int8.* float32"),
        ({"inputs": {"other": np.zeros((6, 2))}}, r"\['other'\].*\['input'\]"),
        ({"inputs": np.full((6, 2), np.nan)}, "sample 0 holds NaN"),
        ({"targets": np.zeros((6, 4))}, r"targets: .*\(4,\)"),
        ({"scores": {}}, r"scores \[\].*\['return'\]"),
        ({"scores": {"return": [np.inf]}}, "'return' is NaN or infinite"),
        (None, "must return toolkit.Rollout, not tuple"),
    ],
)
def test_bad_rollouts_are_refused_and_named(train, played, change, match):
    def bad(policy, player, number):
        rollout = play(policy, player, number)
        return (1, 2) if change is None else replace(rollout, **change)

    with pytest.raises(DataError, match=match):
        train(played(play=bad))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [(lambda targets: targets[1:], "shape"), (lambda targets: targets * np.nan, "finite")],
)
def test_bad_settled_targets_are_refused(train, played, wrong, match):
    with pytest.raises(DataError, match=f"round 0: 'settle' must return .*{match}"):
        train(played(settle=wrong))


def test_outputs_that_are_no_numbers_end_the_training(train, played, adapter_class):
    class Broken(adapter_class):
        def predict(self, inputs):
            return super().predict(inputs) * (np.nan if self.chunks else 1)

    with pytest.raises(ToolkitError, match="NaN or infinite"):
        train(played(validate_every=6), adapter=Broken)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"play": None}, "Experience.play must be a function"),
        ({"settle": 3}, "Experience.settle must be a function"),
        ({"example": None}, "Experience.example must be toolkit.Split, not NoneType"),
        ({"players": 0}, "Experience.players must be a whole number >= 1, not 0"),
        ({"passes": 1.5}, "Experience.passes must be a whole number"),
        ({"players": 5}, "Experience.samples, 24, must be a multiple of the 5 players"),
        ({"scores": "return"}, "Experience.scores must be a tuple of names"),
    ],
)
def test_bad_experiences_are_refused(played, fields, match):
    with pytest.raises(DataError, match=f"recipe 'job', split 'train': {match}".replace("'", ".")):
        load(played(**fields))


def test_an_experience_is_no_validation(job, experience):
    data = Data(job().data().train, experience)
    with pytest.raises(DataError, match=r"Split or toolkit\.Stream, not Experience"):
        load(job(data=lambda: data))


def test_what_is_known_beforehand_is_the_example(played, example):
    dataset = load(played())
    np.testing.assert_allclose(dataset.train.inputs["input"], example.inputs, rtol=1e-6)
    assert (len(dataset.train), dataset.epoch_samples) == (11, 24)


REAL = """
import numpy as np
from toolkit import Adam, Data, Experience, Recipe, Rollout, Split

def play(policy, player, number):
    x = np.random.default_rng([player, number]).normal(size=(6, 3, 4)).astype(np.float32)
    outputs = np.stack([policy(part) for part in x])
    return Rollout(x.reshape(-1, 4), np.tanh(outputs + x[..., :2]).reshape(-1, 2),
                   {"output": outputs})

def data():
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    split = Split(x, x[:, :2])
    return Data(Experience(play, split, 90, players=5, passes=2, scores=("output",),
                settle=lambda targets: targets - targets.mean(axis=0)), split)

def keras_model():
    import keras
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(6, activation="tanh"), keras.layers.Dense(2)]
    )

def torch_model():
    from torch import nn
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))

recipe = Recipe("played", data, keras_model, torch_model, optimizer=Adam(0.01), epochs=6,
                global_batch=16)
"""


@pytest.mark.parametrize("framework", ["tf", pytest.param("torch", marks=pytest.mark.soak)])
def test_real_workers_play_and_learn_as_one_does(ray_cluster, framework):
    one, two = (train_really(framework, workers, source(REAL)) for workers in (1, 2))
    for expected, got in zip(weights(one), weights(two), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
    assert two.metrics == pytest.approx(one.metrics, abs=1e-5)
    assert one.metrics["play_output"] != 0
