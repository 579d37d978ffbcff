"""What a torch training is put together from: first weights, frozen parts, compiler, graph."""

import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from toolkit import SGD, Adam, PerFramework
from toolkit.errors import RecipeError

world = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("torch_world.py"))))


def network(classes=3):
    from collections import OrderedDict

    from torch import nn

    layers = {
        "features": nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU()),
        "drop": nn.Dropout(0.5),
        "head": nn.Linear(8, classes),
    }
    return nn.Sequential(OrderedDict(layers))


def start_from(seat, names=None, content=None):
    """Weights of another model, those that training starts from, and the notes."""
    import torch
    from safetensors.torch import save

    torch.manual_seed(77)
    given = network(classes=4).state_dict()
    given = {name: value for name, value in given.items() if names is None or name in names}
    adapter = seat.adapter(network, weights=save(given) if content is None else content)
    return {name: value.numpy() for name, value in given.items()}, adapter.state(), adapter.notes


def test_weights_that_fit_are_taken_and_the_rest_is_named():
    ((given, state, notes),) = world.run(start_from)
    (own,) = world.run(untouched)
    for name in ("features.0.weight", "features.0.bias", "features.1.running_var"):
        np.testing.assert_array_equal(state[f"model.{name}"], given[name])
    np.testing.assert_array_equal(state["model.head.weight"], own["model.head.weight"])
    names = "head.bias, head.weight"
    assert notes == [f"started from 7 of 9 tensors; new: {names}; not used: {names}"]


def untouched(seat):
    return seat.adapter(network).state()


def test_weights_that_do_not_fit_at_all_are_refused():
    with pytest.raises(RecipeError, match=r"'start_from': no tensor fits .* file has head.weight"):
        world.run(start_from, names=["head.weight"])
    with pytest.raises(RecipeError, match=r"'start_from': is not a .safetensors file"):
        world.run(start_from, content=b"nonsense")


def freeze(seat, frozen, sizes):
    adapter = seat.adapter(network, frozen=frozen, optimizer=Adam(0.01, weight_decay=0.1))
    before = adapter.state()
    seat.train(adapter, sizes)
    return before, adapter.state(), adapter.batch_dependent()


@pytest.mark.parametrize("ranks", [1, 2])
def test_frozen_parts_and_their_statistics_stay(ranks):
    for before, after, dependent in world.run(freeze, ranks, frozen=("features.*",), sizes=[8] * 3):
        for name, array in after.items():
            if name.startswith("model.features"):
                np.testing.assert_array_equal(array, before[name], err_msg=name)
            assert not name.startswith("optimizer.features")
        assert (after["model.head.weight"] != before["model.head.weight"]).any()
        assert not any("features" in entry for entry in dependent)


def test_frozen_names_are_checked():
    with pytest.raises(RecipeError, match=r"'frozen': 'head.wait' .* mean 'head.weight'\?"):
        world.run(freeze, frozen=("head.wait",), sizes=[])
    with pytest.raises(RecipeError, match="'frozen': leaves no parameter to train"):
        world.run(freeze, frozen=("*",), sizes=[])


def dependent(seat, fields):
    return seat.adapter(network, **fields).batch_dependent()


def test_layers_that_depend_on_the_split_are_named():
    norm = "features.1: uses the statistics of its own part of the batch"
    parts = "features.1: uses the statistics of one micro-batch at a time"
    drop = "drop: draws its own random numbers on each worker"
    assert world.run(dependent, fields={}) == [[]]
    assert world.run(dependent, fields={"accumulate": 2}) == [[parts]]
    assert world.run(dependent, 2, fields={}) == [[norm, drop]] * 2
    assert world.run(dependent, 2, fields={"sync_batch_norm": True}) == [[drop]] * 2


def wrong_step(model, inputs, targets):
    return model(inputs["input"]).mean()


def failing(parameters):
    raise ValueError("no such optimizer")


def learn(seat, builder="network", fields=None, sizes=(8, 8, 5, 7, 3, 8)):
    adapter = seat.adapter(globals()[builder], **fields or {})
    losses = seat.train(adapter, list(sizes))
    return adapter.state() | {"losses": losses}


def test_mistakes_in_the_recipes_functions_are_named():
    with pytest.raises(RecipeError, match=r"'train_step': .* shape \(8,\), not \(\)"):
        world.run(learn, fields={"train_step": PerFramework(torch=wrong_step)})
    with pytest.raises(RecipeError, match=r"'optimizer': .* ValueError: no such optimizer"):
        world.run(learn, fields={"optimizer": PerFramework(torch=failing)})


def smooth():
    from torch import nn

    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))


def compiled(seat, fields, sizes, compiler=None):
    if compiler is not None:
        import torch

        torch._inductor.config.cpp.cxx = (compiler,)
        torch._inductor.config.force_disable_caches = True
    from torch._dynamo.utils import counters

    result = learn(seat, "smooth", fields, sizes)
    return result, counters["stats"]["unique_graphs"]


@pytest.mark.soak
def test_a_compiled_model_learns_the_same_with_few_compilations():
    sizes = [8, 8, 5, 7, 3, 8, 6, 4, 9, 10, 11]
    fields = {"optimizer": SGD(0.05, momentum=0.9)}
    (plain,) = world.run(learn, builder="smooth", fields=fields, sizes=sizes)
    fields["compile"] = True
    for ranks in (1, 2):
        for result, graphs in world.run(compiled, ranks, fields=fields, sizes=sizes):
            world.same(plain, result, atol=1e-5)
            assert 1 <= graphs <= 3


def test_a_missing_compiler_is_named():
    with pytest.raises(RecipeError, match=r"'compile': .*; install .* g\+\+, or set compile=False"):
        world.run(compiled, fields={"compile": True}, sizes=[8], compiler="no-such-compiler")


def exported(seat, fields):
    """What the saved files answer, and what the trained model does."""
    import io
    import sys

    import torch
    from safetensors.torch import load

    adapter = seat.adapter(network, **fields)
    seat.train(adapter, [8, 8, 8])
    x, _ = world.samples(50, 7)
    outputs = adapter.predict({"input": x})
    files = adapter.files({"input": x[:2]})
    graph = adapter.graph({"input": x[:2]})
    assert not any(name.split(".")[0] == "tensorflow" for name in sys.modules)
    seat.stop()
    assert not torch.are_deterministic_algorithms_enabled()
    if not files:
        return None
    plain = network()
    plain.load_state_dict(load(files["model.safetensors"]))
    program = torch.export.load(io.BytesIO(files["model.pt2"])).module()
    given = torch.from_numpy(x)
    with torch.no_grad():
        return outputs, plain.eval()(given).numpy(), program(given).numpy(), graph


@pytest.mark.parametrize(
    ("ranks", "fields"),
    [(1, {}), (2, {"sync_batch_norm": True}), (1, {"deterministic": True, "compile": True})],
    ids=["plain", "synchronised", "deterministic"],
)
def test_files_answer_what_the_trained_model_answers(ranks, fields):
    (outputs, plain, program, _), *others = world.run(exported, ranks, fields=fields)
    np.testing.assert_allclose(plain, outputs, atol=1e-6)
    np.testing.assert_allclose(program, outputs, atol=1e-6)
    assert others == [None] * (ranks - 1)


def test_the_graph_names_layers_shapes_and_edges():
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    ((*_, content),) = world.run(exported, fields={})
    nodes = {node.name: node for node in GraphDef.FromString(content).node}
    assert [node.op for node in nodes.values()] == [
        "Placeholder", "Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear", "Identity",
    ]  # fmt: skip
    assert list(nodes["features/features_1"].input) == ["features/features_0"]
    (shape,) = nodes["head"].attr["_output_shapes"].list.shape
    assert [dim.size for dim in shape.dim] == [2, 3]


def winding():
    from torch import nn

    class Winding(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x):
            return self.layer(x) if x.sum() > 0 else -self.layer(x)

    return Winding()


def drawn(seat):
    return seat.adapter(winding).graph({"input": np.ones((2, 6), np.float32)})


def test_a_model_that_cannot_be_traced_has_no_graph():
    assert world.run(drawn) == [None]


def seeding(seat):
    """Seconds a step for what makes random numbers follow from the step."""
    import time

    adapter = seat.adapter(smooth)
    start = time.perf_counter()
    for step in range(10_000):
        adapter._prepare(step, 8)
    return (time.perf_counter() - start) / 10_000


def test_random_numbers_cost_less_than_ten_microseconds_a_step():
    assert min(world.run(seeding)[0] for _ in range(3)) < 10e-6


def counting_threads(seat):
    import torch

    adapter = seat.adapter(smooth)
    torch.set_num_threads(2)
    adapter.place = replace(adapter.place, threads=2)
    with adapter.small_calls():
        inside = torch.get_num_threads()
    return inside, torch.get_num_threads()


def test_small_calls_are_made_by_one_thread():
    assert world.run(counting_threads) == [(1, 2)]
