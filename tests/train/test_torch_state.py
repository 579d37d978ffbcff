"""States of torch trainings: what they hold, and that a restored one goes on bit for bit."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from toolkit import SGD, Adam, PerFramework
from toolkit.errors import RecipeError

world = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("torch_world.py"))))

SIZES = [16, 16, 16, 9, 16, 16, 8]


def network():
    """Layers of all kinds of state: weights, statistics, random numbers."""
    from torch import nn

    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
    )


def plain():
    from torch import nn

    return nn.Linear(6, 3)


def nadam(parameters):
    import torch

    return torch.optim.NAdam(parameters, 0.01)


def counting(parameters):
    """An optimizer of the user's own, with a number for a slot."""
    import torch

    class Counting(torch.optim.Optimizer):
        def step(self):
            for parameter in self.param_groups[0]["params"]:
                state = self.state[parameter]
                state["count"] = state.get("count", 0) + 1
                parameter.data.sub_(parameter.grad, alpha=0.1 / state["count"])

    return Counting(parameters, {"lr": 0.1})


CASES = {
    "momentum": {"optimizer": SGD(0.05, momentum=0.9)},
    "nesterov": {"optimizer": SGD(0.05, momentum=0.9, nesterov=True)},
    "plain SGD": {"optimizer": SGD(0.05)},
    "adam": {"optimizer": Adam(0.01)},
    "adamw": {"optimizer": Adam(0.01, weight_decay=0.1), "clip_norm": 0.5},
    "float16": {"optimizer": Adam(0.01), "precision": "float16"},
    "bfloat16": {"optimizer": SGD(0.05, momentum=0.9), "precision": "bfloat16", "accumulate": 2},
    "nadam": {"optimizer": PerFramework(torch=nadam)},
    "own": {"optimizer": PerFramework(torch=counting)},
}


def interrupted(seat, fields):
    """States at the end of a whole training, of one that restarts in the middle, and its loss."""
    whole = seat.adapter(network, **fields)
    losses = seat.train(whole, SIZES[:4])
    middle = whole.state()
    losses = np.concatenate([losses, seat.train(whole, SIZES[4:], first=4)])
    end = whole.state()
    again = seat.adapter(network, **fields)
    seat.train(again, [8])  # its state must not show in what follows
    again.restore(middle)
    restored = again.state()
    rest = seat.train(again, SIZES[4:], first=4)
    again_end = again.state()
    fresh = seat.adapter(network, **fields)
    fresh.restore(middle)
    fresh_rest = seat.train(fresh, SIZES[4:], first=4)
    fresh_end = fresh.state()
    return {
        "states": [(middle, restored), (end, again_end), (end, fresh_end)],
        "losses": [(losses[4:], rest), (losses[4:], fresh_rest)],
    }


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_a_restored_training_goes_on_bit_for_bit(case, ranks):
    results = world.run(interrupted, ranks, fields=CASES[case])
    for result in results:
        for one, two in result["states"]:
            world.same(one, two)
        for one, two in result["losses"]:
            np.testing.assert_array_equal(one, two)
    for one, two in zip(results[0]["states"], results[-1]["states"], strict=True):
        world.same(one[0], two[0])  # every rank knows the same


def three_ranks(seat):
    fields = {"optimizer": SGD(0.05, momentum=0.9), "deterministic": True}
    whole = seat.adapter(wide, **fields)
    seat.train(whole, [8] * 3)
    middle = whole.state()
    seat.train(whole, [8] * 3, first=3)
    end = whole.state()
    again = seat.adapter(wide, **fields)
    again.restore(middle)
    seat.train(again, [8] * 3, first=3)
    again_end = again.state()
    return end, again_end


def wide():
    from torch import nn

    return nn.Sequential(
        nn.Linear(6, 301), nn.ReLU(), nn.Linear(301, 77), nn.Tanh(), nn.Linear(77, 3)
    )


def test_deterministic_training_on_three_ranks_goes_on_bit_for_bit():
    for end, again in world.run(three_ranks, 3):
        world.same(end, again)


def names(seat, fields):
    adapter = seat.adapter(plain, **fields)
    before = adapter.state()
    seat.train(adapter, [4, 4])
    after = adapter.state()
    kept = {name: array.copy() for name, array in after.items()}
    seat.train(adapter, [4], first=2)
    return before, after, kept


def test_names_and_copies():
    fields = {"optimizer": Adam(0.01), "precision": "float16"}
    ((before, after, kept),) = world.run(names, fields=fields)
    scale = {"optimizer.loss_scale", "optimizer.growth_tracker"}
    weights = {"model.weight", "model.bias"}
    slots = {
        f"optimizer.{name}.{slot}"
        for name in ("weight", "bias")
        for slot in ("step", "exp_avg", "exp_avg_sq")
    }
    assert set(before) == weights | scale
    assert set(after) == weights | scale | slots
    assert before["optimizer.loss_scale"] == 2**16
    assert after["optimizer.loss_scale"] == 2**15  # the first step overflowed and was left out
    assert after["optimizer.growth_tracker"] == 1
    assert after["optimizer.bias.step"] == 1
    world.same(after, kept)  # training went on and did not write into what was handed out
    ((_, own, _),) = world.run(names, fields={"optimizer": PerFramework(torch=counting)})
    assert own["optimizer.weight.count"] == 2
    assert own["optimizer.weight.count"].dtype == np.int64


def weights_alone(seat):
    adapter = seat.adapter(plain, optimizer=Adam(0.01))
    first = adapter.state()
    seat.train(adapter, [4, 4])
    before = adapter.state()
    adapter.restore({name: value for name, value in first.items() if name.startswith("model.")})
    return first, before, adapter.state()


def test_weights_alone_leave_the_optimizer_alone():
    ((first, before, after),) = world.run(weights_alone)
    for name, array in after.items():
        source = first if name.startswith("model.") else before
        np.testing.assert_array_equal(array, source[name])


def damaged(seat, damage, fields):
    adapter = seat.adapter(plain, **fields)
    seat.train(adapter, [4])
    arrays = adapter.state()
    for name, array in damage.items():
        if array is None:
            del arrays[name]
        else:
            arrays[name] = array
    seat.adapter(plain, **fields).restore(arrays)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"model.bias": None}, "no 'model.bias'"),
        ({"model.bias": np.zeros(4)}, r"'model.bias' has shape \(4,\) .* but \(3,\)"),
        ({"model.extra": np.zeros(4)}, "has 'model.extra', which this model does not have"),
        ({"optimizer.bias.exp_avg": None}, "no 'optimizer.bias.exp_avg'"),
        ({"optimizer.bias.exp_avg": np.zeros((2, 2))}, r"'optimizer.bias.exp_avg' .*\(2, 2\)"),
        ({"optimizer.nose.step": np.zeros(())}, "has 'optimizer.nose.step'"),
        ({"optimizer.loss_scale": np.ones(())}, "has 'optimizer.loss_scale'"),
    ],
)
def test_a_state_of_another_model_is_refused(damage, message):
    with pytest.raises(RecipeError, match=message):
        world.run(damaged, damage=damage, fields={"optimizer": Adam(0.01)})
