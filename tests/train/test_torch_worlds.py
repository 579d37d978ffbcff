"""What a step of torch training computes: the same on one worker as on several, whatever is on."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from toolkit import SGD, Adam, PerFramework
from toolkit.errors import RecipeError

world = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("torch_world.py"))))

SIZES = [7, 7, 5, 2, 1]  # uneven shards, and with 2 or 3 workers empty ones


def network():
    from torch import nn

    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def normalised(momentum=0.1, affine=True):
    """Batch normalisation over vectors and over images."""
    from torch import nn

    return nn.Sequential(
        nn.Linear(6, 2 * 3 * 3),
        nn.BatchNorm1d(18, momentum=momentum, affine=affine),
        nn.Unflatten(1, (2, 3, 3)),
        nn.Conv2d(2, 3, 2),
        nn.BatchNorm2d(3, momentum=momentum),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(12, 3),
    )


def cumulative():
    return normalised(momentum=None, affine=False)


def learn(seat, builder, fields, sizes=SIZES, weigh=None, factors=None):
    adapter = seat.adapter(globals()[builder], **fields)
    losses = seat.train(adapter, sizes, weigh=weigh and globals()[weigh], factors=factors)
    x, _ = world.samples(99, 5)
    state = adapter.state()
    outputs = adapter.predict({"input": x})
    return state | {"losses": losses, "outputs": outputs}


def some_samples_count_more(x, y):
    return np.where(y == 0, 0, 1 + np.abs(x[..., 0])).astype(np.float32)


def same_on_any_world(builder, fields, **more):
    """Train on 1, 2 and 3 workers; return the result of one."""
    (one,) = world.run(learn, builder=builder, fields=fields, **more)
    for ranks in (2, 3):
        for result in world.run(learn, ranks, builder=builder, fields=fields, **more):
            world.same(one, result, rtol=1e-5, atol=1e-6)
    return one


def twice(model, inputs, targets):
    """A train step that calls the model two times: consistency of two views."""
    from torch.nn import functional

    one, two = model(inputs["input"]), model(inputs["input"] * 0.5)
    apart = ((one - two) ** 2).mean(1)
    return functional.cross_entropy(one, targets, reduction="none") + apart


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": Adam(0.01)},
        {"optimizer": SGD(0.1, momentum=0.9), "clip_norm": 0.05},
        {"accumulate": 3, "optimizer": Adam(0.01), "clip_norm": 0.5},
        {"train_step": PerFramework(torch=twice)},
        {"train_step": PerFramework(torch=twice), "accumulate": 2},
    ],
    ids=["plain", "clip", "accumulate", "own step", "own step in micro-batches"],
)
def test_any_number_of_workers_learns_the_same(fields):
    same_on_any_world("network", fields, weigh="some_samples_count_more")


@pytest.mark.parametrize(
    "builder", ["normalised", pytest.param("cumulative", marks=pytest.mark.soak)]
)
@pytest.mark.parametrize("step", [None, PerFramework(torch=twice)], ids=["plain", "own step"])
def test_synchronised_batch_norm_learns_the_same_on_any_world(builder, step):
    fields = {"sync_batch_norm": True, "optimizer": SGD(0.1), "train_step": step}
    sizes = [7, 7, 5, 2]  # a whole batch of one sample has no variance
    one = same_on_any_world(builder, fields, sizes=sizes)
    assert one["model.4.num_batches_tracked"] == len(sizes) * (1 if step is None else 2)
    (plain,) = world.run(
        learn, builder=builder, fields={"train_step": step, "optimizer": SGD(0.1)}, sizes=sizes
    )
    world.same(one, plain)


def test_synchronised_batch_norm_in_bfloat16_is_close():
    fields = {"sync_batch_norm": True, "precision": "bfloat16", "optimizer": SGD(0.1)}
    (one,) = world.run(learn, builder="normalised", fields=fields, sizes=[8] * 4)
    for result in world.run(learn, 2, builder="normalised", fields=fields, sizes=[8] * 4):
        world.same(one, result, atol=0.05)
        assert all(array.dtype != np.float16 for array in result.values())


def test_plain_batch_norm_ends_with_the_same_statistics_on_all_ranks():
    one, two = world.run(learn, 2, builder="normalised", fields={}, sizes=[8, 8, 8])
    world.same(one, two)


def micro_batches(seat, count):
    """Sizes of the batches that the model saw."""
    seen = []

    def spying():
        model = network()
        model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
        return model

    seat.train(seat.adapter(spying, accumulate=count), [8, 5, 1])
    return seen


def test_micro_batches_are_about_equal_and_as_many_on_all_ranks():
    assert world.run(micro_batches, count=3) == [[3, 3, 2, 2, 2, 1, 1]]
    assert world.run(micro_batches, 2, count=3) == [[2, 1, 1, 2, 1, 1], [2, 1, 1, 1, 1, 1]]


def test_accumulating_changes_nothing():
    (plain,) = world.run(learn, builder="network", fields={"optimizer": Adam(0.01)})
    fields = {"optimizer": Adam(0.01), "accumulate": 4}
    (parts,) = world.run(learn, builder="network", fields=fields)
    world.same(plain, parts, rtol=1e-5, atol=1e-6)


def textbook(weight, bias, norm, rate, steps):
    """A linear model with cross entropy, clipped, in numpy."""
    norms = []
    for step in range(steps):
        x, y = world.samples(step, 7)
        scores = np.exp(x @ weight.T + bias)
        errors = (scores / scores.sum(1, keepdims=True) - np.eye(3)[y]) / len(y)
        gradients = [errors.T @ x, errors.sum(0)]
        norms.append(np.sqrt(sum((gradient**2).sum() for gradient in gradients)))
        factor = min(1, norm / norms[-1])
        weight = weight - rate * factor * gradients[0]
        bias = bias - rate * factor * gradients[1]
    return weight, bias, norms


def linear():
    from torch import nn

    return nn.Linear(6, 3)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_clipping_is_the_textbooks(precision):
    fields = {"optimizer": SGD(0.1), "clip_norm": 3.5, "precision": precision}
    (start,) = world.run(untrained)
    weight, bias = start["model.weight"].astype(float), start["model.bias"].astype(float)
    weight, bias, norms = textbook(weight, bias, 3.5, 0.1, 6)
    assert min(norms) < 3.5 < max(norms)  # some steps are clipped, some are not
    tolerance = {"atol": 1e-6} if precision == "float32" else {"atol": 5e-3}
    for result in world.run(scaled, 2, fields=fields, scale=2.0**10, sizes=[7] * 6):
        np.testing.assert_allclose(result["model.weight"], weight, **tolerance)
        np.testing.assert_allclose(result["model.bias"], bias, **tolerance)


def scaled(seat, fields, scale, sizes):
    """Train a linear model from a given loss scale."""
    adapter = seat.adapter(linear, **fields)
    arrays = adapter.state()
    if "optimizer.loss_scale" in arrays:
        arrays["optimizer.loss_scale"] = np.array(scale)
        adapter.restore(arrays)
    losses = seat.train(adapter, sizes)
    return adapter.state() | {"losses": losses}


def untrained(seat):
    return seat.adapter(linear).state()


@pytest.mark.parametrize("ranks", [1, 2])
def test_an_overflow_skips_the_step_and_halves_the_scale_on_all_ranks(ranks):
    fields = {"optimizer": SGD(0.1), "precision": "float16"}
    before = world.run(untrained, ranks)
    after = world.run(scaled, ranks, fields=fields, scale=2.0**24, sizes=[8, 8])
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one["model.weight"], two["model.weight"])
        assert two["optimizer.loss_scale"] == 2.0**22
        assert two["optimizer.growth_tracker"] == 0
        assert np.isfinite(two["losses"]).all()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_stays_near_float32_and_keeps_float32_weights(precision):
    fields = {"optimizer": SGD(0.05)}
    sizes = [8] * 10
    (exact,) = world.run(scaled, fields=fields, scale=None, sizes=sizes)
    fields |= {"precision": precision}
    for result in world.run(scaled, 2, fields=fields, scale=2.0**10, sizes=sizes):
        assert result["model.weight"].dtype == np.float32
        np.testing.assert_allclose(result["model.weight"], exact["model.weight"], atol=0.02)
        assert (result["model.weight"] != exact["model.weight"]).any()


def noise(seat, first):
    adapter = seat.adapter(dropping)
    seat.train(adapter, [8, 8], first=first)
    return adapter.state()


def dropping():
    from torch import nn

    return nn.Sequential(nn.Linear(6, 20), nn.Dropout(0.5), nn.Linear(20, 3))


def test_random_numbers_follow_from_seed_step_and_rank():
    (one,), (again,), (other,) = (world.run(noise, first=step) for step in (4, 4, 5))
    world.same(one, again)
    assert (one["model.0.weight"] != other["model.0.weight"]).any()


def unused():
    from torch import nn

    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, x):
            return self.used(x)

    return Unused()


def test_parameters_without_gradient_are_named_with_several_workers():
    world.run(learn, builder="unused", fields={})
    with pytest.raises(RecipeError, match=r"depend on spare.weight, spare.bias, .* 'frozen'"):
        world.run(learn, 2, builder="unused", fields={})
    world.run(learn, 2, builder="unused", fields={"frozen": ("spare.*",)})


def left(seat):
    """Whether DistributedDataParallel is gone once the adapter has stopped."""
    import weakref

    adapter = seat.adapter(network)
    seat.train(adapter, [8])
    wrapped = weakref.ref(adapter._trained)
    seat.stop()
    return wrapped() is None


def test_stopping_leaves_no_wrapper_that_would_hang_when_it_frees_the_group():
    assert world.run(left, 2) == [True, True]


def summed(seat):
    adapter = seat.adapter(network)
    values = np.arange(3.0) + seat.rank
    return values, adapter.all_sum(values), seat.rank


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_sum_leaves_what_it_sums_as_it_is(ranks):
    for values, total, rank in world.run(summed, ranks):
        np.testing.assert_array_equal(values, np.arange(3.0) + rank)
        np.testing.assert_array_equal(total, ranks * np.arange(3.0) + (ranks == 2))
