"""Saving, leaving and going on: the end is that of an undisturbed training, on any world."""

import json

import numpy as np
import pytest

from toolkit import Callback, Data, EarlyStopping, Split
from toolkit.train.control import Control
from toolkit.train.reports import Checkpoint, Left, Trained
from toolkit.train.settings import Settings
from toolkit.train.state import State


@pytest.fixture
def heavy(adapter_class):
    """A fake framework with momentum, so that forgetting a slot shows."""

    class Heavy(adapter_class):
        momentum = 0.9

    return Heavy


def travelled(state: State) -> State:
    """What a checkpoint file does to a state: facts become JSON."""
    return State(state.step, dict(state.arrays), json.loads(json.dumps(state.facts)))


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("every", [1, 3, 7, "epoch"])
def test_going_on_from_any_checkpoint_ends_the_same(train, job, heavy, world, every):
    recipe = job(early_stopping=EarlyStopping(patience=50))
    whole = train(recipe, adapter=heavy)
    saved = train(recipe, adapter=heavy, settings=Settings(checkpoint_every=every))
    steps = [state.step for state in saved.checkpoints]
    assert steps == list(range(5, 21, 5) if every == "epoch" else range(every, 21, every))
    for state in saved.checkpoints:
        if state.step == 20:
            continue
        rest = train(recipe, world, adapter=heavy, state=travelled(state))
        np.testing.assert_allclose(rest.weights, whole.weights, rtol=1e-9)
        assert rest.progress[0].step > state.step
        for got, expected in zip(
            rest.checkpoints or [state], [state], strict=False
        ):  # the last row of the rest knows all rows before
            assert got.facts["rows"][: len(expected.facts["rows"])] == expected.facts["rows"]
        expected = [row for row in whole.rows if row["step"] > state.step]
        for got, want in zip(rest.rows, expected, strict=True):
            assert got == pytest.approx(want, rel=1e-9)


def test_one_world_goes_on_bit_for_bit(train, job, heavy):
    whole = train(job(), 2, adapter=heavy)
    saved = train(job(), 2, adapter=heavy, settings=Settings(checkpoint_every=3))
    for state in saved.checkpoints[:-1]:
        rest = train(job(), 2, adapter=heavy, state=travelled(state))
        assert rest.weights.tolist() == whole.weights.tolist()
        assert rest.trained.metrics["loss"] == whole.trained.metrics["loss"]


@pytest.mark.parametrize("asked", [0, 1])
def test_all_ranks_leave_when_one_is_asked(train, job, heavy, asked):
    class Slow(heavy):
        def train(self, chunks):
            if self.place.rank == asked and chunks[0].first >= 6:
                controls[asked].leave = True
            return super().train(chunks)

    controls = [Control(), Control()]
    done = train(job(epochs=50), 2, adapter=Slow, controls=controls)
    for reports in done.reports:
        assert isinstance(reports[-1], Left)
        assert isinstance(reports[-2], Checkpoint)
    (left,) = done.of(Left)
    assert 6 < left.step < 250
    assert done.checkpoints[-1].step == left.step
    assert not done.of(Trained)
    rest = train(job(epochs=50), 3, adapter=heavy, state=travelled(done.checkpoints[-1]))
    whole = train(job(epochs=50), adapter=heavy)
    np.testing.assert_allclose(rest.weights, whole.weights, rtol=1e-9)


def test_being_asked_in_the_last_step_ends_the_training(train, job, adapter_class):
    class Last(adapter_class):
        def train(self, chunks):
            if chunks[0].first + len(chunks[0]) == 20:
                control.leave = True
            return super().train(chunks)

    control = Control()
    done = train(job(), adapter=Last, controls=[control])
    assert done.trained.facts["steps"] == 20
    assert not done.of(Left)


def test_a_limit_ends_with_the_state_after_that_step(train, job, heavy):
    done = train(job(), adapter=heavy, settings=Settings(checkpoint_every="never", limit=7))
    (state,) = done.checkpoints
    assert state.step == 7
    assert done.progress[-1].step == 7
    assert [left.step for left in done.of(Left)] == [7]


@pytest.mark.parametrize("worlds", [(1, 1), (2, 3), (3, 1)])
def test_the_ledger_counts_every_sample_once_over_an_interruption(train, job, worlds):
    how = Settings(checkpoint_every=7, ledger=True)
    first = train(job(), worlds[0], settings=how)
    for state in first.checkpoints[:-1]:
        rest = train(job(), worlds[1], settings=how, state=travelled(state))
        rows = [row for progress in rest.progress for row in progress.ledger]
        assert [row["epoch"] for row in rows] == list(range(state.step // 5 + 1, 5))
        for row in rows:
            assert (row["samples"], row["once"]) == (23, 23)
            assert (row["missing"], row["repeated"]) == (0, 0)
        both = [*dict.fromkeys(worlds)]
        assert rows[0]["workers"] == both  # the epoch that was interrupted
        assert rows[-1]["workers"] == [worlds[1]]


def test_the_ledger_sees_what_the_plan_got_wrong(train, job, monkeypatch):
    from toolkit.data.plan import SamplePlan

    right = SamplePlan.shards

    def wrong(self, epoch, first, last, rank, world):
        for ids in right(self, epoch, first, last, rank, world):
            yield ids * 0 if first == 4 else ids

    monkeypatch.setattr(SamplePlan, "shards", wrong)
    done = train(job(epochs=1), settings=Settings(ledger=True))
    (row,) = done.progress[-1].ledger
    assert row["missing"] + row["once"] + 1 >= 23
    assert row["repeated"] == 1 or row["missing"] > 0


class Counting(Callback):
    def __init__(self):
        self.calls = []

    def on_train_begin(self, model):
        self.calls.append("begin")

    def on_epoch_end(self, epoch, logs, model):
        self.calls.append((epoch, logs["loss"]))
        return epoch == 3

    def on_train_end(self, logs, model):
        self.calls.append("end")


@pytest.mark.parametrize("world", [1, 2])
def test_callbacks_see_every_epoch_and_may_stop(train, job, world):
    made = []

    def callbacks():
        made.append(Counting())
        return [made[-1]]

    done = train(job(epochs=9, validate_every=4, callbacks=callbacks), world)
    losses = [row["loss"] for row in done.rows]
    assert len(made) == world
    for each in made:
        assert each.calls == ["begin", (1, losses[0]), (2, losses[1]), (3, losses[2]), "end"]
    assert done.trained.facts["epochs"] == 3


def bouncing(adapter_class, losses):
    """A framework whose validation losses are given, and whose weights count the epochs."""

    class Bouncing(adapter_class):
        def losses(self, outputs, targets):
            epoch = round(self.weights[0])
            return np.full(len(outputs), losses[epoch - 1])

        def train(self, chunks):
            shares = super().train(chunks)
            self.weights = np.zeros_like(self.weights)
            self.weights[0] = (chunks[0].first + len(chunks[0])) / 5
            return shares

    return Bouncing


LOSSES = [5.0, 3.0, 4.0, 2.9, 6.0, 7.0, 8.0, 1.0]


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize(
    ("stopping", "epochs"),
    [
        (EarlyStopping(patience=1), 3),
        (EarlyStopping(patience=2), 6),
        (EarlyStopping(patience=2, min_delta=0.5), 4),
        (EarlyStopping(patience=4), 8),
    ],
)
def test_early_stopping(train, job, adapter_class, world, stopping, epochs):
    data = job().data()
    recipe = job(epochs=8, early_stopping=stopping, data=lambda: Data(data.train, data.validation))
    done = train(recipe, world, adapter=bouncing(adapter_class, LOSSES))
    assert done.trained.facts["epochs"] == epochs


def test_early_stopping_remembers_over_an_interruption(train, job, adapter_class):
    recipe = job(epochs=8, early_stopping=EarlyStopping(patience=2))
    adapter = bouncing(adapter_class, LOSSES)
    saved = train(recipe, adapter=adapter, settings=Settings(checkpoint_every="epoch"))
    assert len(saved.checkpoints) == 6
    for state in saved.checkpoints:  # the last one is of a training that has decided to stop
        rest = train(recipe, 2, adapter=adapter, state=travelled(state))
        assert rest.trained.facts["epochs"] == 6


@pytest.mark.parametrize("interrupted", [None, 1, 4, 6])
def test_the_best_weights_become_the_model(train, job, adapter_class, interrupted):
    recipe = job(epochs=7, keep_best="val_loss")
    adapter = bouncing(adapter_class, LOSSES)
    settings = Settings(checkpoint_every="epoch")
    done = train(recipe, adapter=adapter, settings=settings)
    if interrupted is not None:
        state = next(s for s in done.checkpoints if s.step == 5 * interrupted)
        done = train(recipe, 2, adapter=adapter, state=travelled(state))
    assert done.weights[0] == pytest.approx(4)
    assert done.trained.metrics["epoch"] == 4
    assert done.trained.metrics["val_loss"] == pytest.approx(2.9)
    assert "epoch 4" in done.trained.facts["notes"][-1]


def test_sample_and_class_weights_scale_each_loss(train, job):
    x = np.arange(12.0, dtype=np.float32)[:, None] / 12
    weights = np.linspace(0, 2, 12).astype(np.float32)
    data = Data(Split(x, 3 * x, weights), Split(x, 3 * x))
    recipe = job(data=lambda: data, epochs=2, global_batch=12)
    for world in (1, 3):
        done = train(recipe, world)
        features = np.c_[x, np.ones(12)].astype(float)
        expected = np.zeros(2)
        for _ in range(2):
            errors = features @ expected - 3 * x[:, 0]
            expected = expected - 0.05 * 2 * (weights * errors) @ features / 12
        np.testing.assert_allclose(done.weights, expected, rtol=1e-5)
