"""The training loop on a linear model in numpy: exact, and the same for any number of workers."""

import numpy as np
import pytest

from toolkit import Cosine, Data, PerFramework, Split
from toolkit.artifacts import Golden
from toolkit.data.load import load
from toolkit.data.plan import SamplePlan
from toolkit.train.reports import Built, Progress, Trained

RATE = 0.05
WORLDS = [(1, 1), (2, 1), (3, 1), (7, 1), (1, 3), (2, 2)]


def plain(recipe):
    """Weights and mean losses by epoch, from the plan and the textbook alone."""
    data = load(recipe).train
    plan = SamplePlan(len(data), recipe.global_batch, recipe.seed)
    x = np.c_[data.inputs["input"].reshape(len(data), -1).astype(float), np.ones(len(data))]
    t, weights, losses, total = data.targets[:, 0], np.zeros(x.shape[1]), [], 0
    steps = recipe.epochs * plan.steps_per_epoch
    for epoch in range(recipe.epochs):
        seen = []
        for step in range(plan.steps_per_epoch):
            ids = plan.batch(epoch, step)
            errors = x[ids] @ weights - t[ids]
            seen += (errors**2).tolist()
            factor = recipe.schedule.factor(total, steps) if recipe.schedule else 1
            weights = weights - RATE * factor * 2 * errors @ x[ids] / len(ids)
            total += 1
        losses.append(np.mean(seen))
    return weights, losses


@pytest.mark.parametrize(("world", "replicas"), WORLDS)
@pytest.mark.parametrize(
    "fields",
    [{}, {"global_batch": 3, "seed": 9}, {"global_batch": 100}, {"schedule": Cosine(3, 0.1)}],
)
def test_any_world_gives_the_weights_and_losses_of_one_worker(train, job, world, replicas, fields):
    recipe = job(**fields)
    weights, losses = plain(recipe)
    done = train(recipe, world, replicas)
    for adapter in done.adapters:
        np.testing.assert_allclose(adapter.weights, weights, rtol=1e-6)
    assert [row["loss"] for row in done.rows] == pytest.approx(losses, rel=1e-6)
    assert [row["epoch"] for row in done.rows] == [1, 2, 3, 4]


@pytest.mark.parametrize(("world", "replicas"), WORLDS)
def test_every_sample_counts_once_an_epoch(train, job, world, replicas):
    recipe = job(epochs=2, validate_every=2)
    done = train(recipe, world, replicas)
    counted = np.zeros(3)
    sizes = []
    for index, first in enumerate(done.adapters[0].chunks):
        parts = [chunk for adapter in done.adapters for chunk in adapter.chunks[index]]
        assert len(parts) == world * replicas
        for part in parts:
            counted[0] += part.weights.sum()
            counted[1:] += (part.weights[..., None] * part.inputs["input"]).sum(axis=(0, 1))
            assert part.sizes.tolist() == first[0].sizes.tolist()
            assert part.factors is None
        given = np.sum([part.weights.sum(axis=1) for part in parts], axis=0)
        assert given.tolist() == first[0].sizes.tolist()
        sizes += first[0].sizes.tolist()
    assert sizes == [5, 5, 5, 5, 3] * 2
    expected = [2 * 23, *2 * done.dataset.train.inputs["input"].sum(axis=0)]
    np.testing.assert_allclose(counted, expected, rtol=1e-5)


def test_a_rank_without_samples_computes_one_and_counts_none(train, job):
    done = train(job(global_batch=2), world=3)
    for (chunk,) in done.adapters[2].chunks:
        assert chunk.weights.shape == (len(chunk), 1)
        assert not chunk.weights.any()
    assert all(chunk.weights.all() for (chunk,) in done.adapters[0].chunks)


@pytest.mark.parametrize("world", [1, 2, 3, 20])
def test_validation_is_exact_over_all_ranks(train, job, world):
    done = train(job(metrics=("mae", "mse")), world)
    data = done.dataset.validation
    errors = np.c_[data.inputs["input"], np.ones(17)] @ done.weights - data.targets[:, 0]
    assert done.trained.metrics["val_mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-9)
    assert done.trained.metrics["val_mse"] == pytest.approx((errors**2).mean(), rel=1e-9)
    assert done.trained.metrics["val_loss"] == pytest.approx((errors**2).mean(), rel=1e-9)
    assert all(reports[-1].metrics == done.trained.metrics for reports in done.reports)


def test_validation_in_several_batches_is_exact(train, job):
    x = np.arange(600.0)[:, None] / 600
    done = train(job(data=lambda: Data(Split(x[:10], x[:10]), Split(x, 2 * x))))
    errors = np.c_[x, np.ones(600)] @ done.weights - 2 * x[:, 0]
    assert done.trained.metrics["val_mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-6)


@pytest.mark.parametrize(("every", "due"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (9, [5])])
def test_validation_comes_when_due_and_at_the_end(train, job, every, due):
    done = train(job(epochs=5, validate_every=every))
    assert [row["epoch"] for row in done.rows if "val_loss" in row] == due
    assert [row["epoch"] for row in done.rows] == [1, 2, 3, 4, 5]
    assert [row["step"] for row in done.rows] == [5, 10, 15, 20, 25]


def test_reports_come_in_order(train, job):
    done = train(job(epochs=3, validate_every=2))
    built, *_, last = done.reports[0]
    assert isinstance(built, Built)
    assert isinstance(last, Trained)
    assert all(isinstance(report, Progress) for report in done.progress)
    assert [report.step for report in done.progress] == [4, 5, 9, 10, 14, 15]  # partial batches
    assert {report.steps for report in done.progress} == {15}
    assert [report.epoch for report in done.progress] == [0, 1, 1, 2, 2, 3]
    assert all(report.samples_per_second > 0 for report in done.progress)
    assert done.progress[-1].loss == done.rows[-1]["loss"]
    assert done.trained.metrics == done.rows[-1]
    facts = done.trained.facts
    assert (facts["steps"], facts["epochs"], facts["notes"]) == (15, 3, [])
    assert facts["fit_seconds"] >= facts["seconds"] > 0


@pytest.mark.parametrize("world", [1, 2])
def test_hooks_are_called_on_every_rank_in_order(train, job, world):
    done = train(job(epochs=4, validate_every=2), world)
    logs = [dict(row) for row in done.rows]
    for adapter in done.adapters:
        *calls, end, files = adapter.calls
        assert calls == [("begin", 4, 0), ("epoch", 2, logs[1]), ("epoch", 4, logs[3])]
        assert end == ("end", logs[3])
        assert files == ("files", {"input": (2, 2)})
    assert done.trained.files == {"model.npy": done.weights.tobytes()}


@pytest.mark.parametrize("world", [1, 3])
@pytest.mark.parametrize(("wants", "epochs"), [(True, 2), (False, 3)])
def test_training_stops_early_where_it_is_told(train, job, adapter_class, world, wants, epochs):
    class Stopping(adapter_class):
        wants_epochs = wants

        def epoch_end(self, epoch, logs):
            super().epoch_end(epoch, logs)
            return epoch >= 2

    recipe = job(epochs=9, validate_every=3)
    done = train(recipe, world, adapter=Stopping)
    assert [row["epoch"] for row in done.rows] == list(range(1, epochs + 1))
    assert done.trained.facts["epochs"] == epochs
    assert done.trained.facts["steps"] == 5 * epochs
    assert done.trained.metrics["val_mae"] > 0  # the last state is always validated
    np.testing.assert_allclose(done.weights, plain(job(epochs=epochs))[0], rtol=1e-6)
    called = [call[1] for call in done.adapters[0].calls if call[0] == "epoch"]
    assert called == (list(range(1, epochs + 1)) if wants else [3])


@pytest.mark.parametrize(
    ("golden", "ids"),
    [(512, range(17)), (17, range(17)), (3, [0, 8, 16]), (2, [0, 16]), (1, [0])],
)
def test_golden_vectors_are_spread_raw_and_answered(train, job, golden, ids):
    halve = ({"step": "scale", "factor": 0.5},)
    done = train(job(golden=golden, preprocessing=halve, output_name="y"), world=2)
    vectors = Golden.from_bytes(done.trained.golden)
    raw = done.dataset.raw["input"][list(ids)]
    assert vectors.inputs["input"].tolist() == raw.tolist()
    assert vectors.targets.tolist() == done.dataset.validation.targets[list(ids)].tolist()
    expected = np.c_[raw / 2, np.ones(len(raw))] @ done.weights
    np.testing.assert_allclose(vectors.outputs["y"][:, 0], expected)


def test_many_golden_vectors_are_answered_in_order(train, job):
    x = np.arange(700.0)[:, None]
    data = Data(Split(x[:9] / 9, x[:9]), Split(x, x))
    done = train(job(data=lambda: data, golden=600))
    vectors = Golden.from_bytes(done.trained.golden)
    taken = vectors.inputs["input"][:, 0]
    assert len(set(taken)) == 600
    assert (taken[0], taken[-1]) == (0, 699)
    assert set(np.diff(taken)) <= {1, 2}
    np.testing.assert_allclose(
        vectors.outputs["output"][:, 0], np.c_[taken, taken**0] @ done.weights
    )


def test_large_samples_are_gathered_in_small_parts(train, job):
    x = np.zeros((10, 2**20), np.float32)  # 4 MiB each
    data = Data(Split(x, x[:, :1]), Split(x[:1], x[:1, :1]))
    done = train(job(data=lambda: data, epochs=1, global_batch=1))
    sizes = [chunk.inputs["input"].nbytes for (chunk,) in done.adapters[0].chunks]
    assert max(sizes) <= 32 * 2**20
    assert sum(sizes) == x.nbytes


def test_a_loss_of_its_own_is_not_judged_by_its_shapes(train, job):
    """A loss of the user's may compare [n, 1] with [n, 2]."""
    x = np.ones((6, 2), np.float32)
    data = Data(Split(x, x), Split(x, x))
    done = train(job(data=lambda: data, loss=PerFramework(torch=object), metrics=()))
    assert done.trained.metrics["val_loss"] >= 0
