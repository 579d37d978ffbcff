"""What models from elsewhere say about themselves, and which of them are refused and why."""

import io

import numpy as np
import pytest
from safetensors.numpy import save

from toolkit.errors import NotFoundError, UsageError
from toolkit.hosts import ChildProcesses
from toolkit.models.predict import predict
from toolkit.models.source import ModelSource

NETS = """
import torch
from torch import nn

def net():
    return nn.Linear(3, 2)

def wrong():
    return 3

def fails():
    raise ValueError("no such layer")

class Pair(nn.Module):
    def forward(self, first, second):
        return first - second

class Many(nn.Module):
    def forward(self, x):
        return [x, [x]]
"""
X = np.arange(6, dtype=np.float32).reshape(2, 3)
WEIGHT, BIAS = np.ones((2, 3), np.float32), np.float32([1, 2])


def state(kind: str) -> bytes:
    """A state dictionary as torch saves it; runs in a child."""
    import torch

    buffer = io.BytesIO()
    tensors = {"weight": torch.from_numpy(WEIGHT), "bias": torch.from_numpy(BIAS)}
    torch.save(tensors if kind == "state" else list(tensors.values()), buffer)
    return buffer.getvalue()


def answers(cases):
    """Answer, or error, of each case; one process for all."""
    results = {}
    for name, (model, inputs) in cases.items():
        try:
            results[name] = predict(model, inputs)
        except UsageError as error:
            results[name] = error
    return results


def all_cases(file):
    def function(name, **files):
        return ModelSource("function", "torch", files, function=f"{file}:{name}")

    good = save({"weight": WEIGHT, "bias": BIAS})
    pair = {"second": X, "first": 3 * X}
    return answers(
        {
            "safetensors": (function("net", **{"w.safetensors": good}), {"any": X}),
            "state": (function("net", **{"w.pt": state("state")}), {"any": X}),
            "list": (function("net", **{"w.pt": state("list")}), {"any": X}),
            "missing": (function("net", **{"w.safetensors": save({"weight": WEIGHT})}), {"x": X}),
            "unexpected": (
                function(
                    "net", **{"w.safetensors": save({"weight": WEIGHT, "bias": BIAS, "z": X})}
                ),
                {"x": X},
            ),
            "shape": (
                function("net", **{"w.safetensors": save({"weight": X, "bias": WEIGHT})}),
                {"x": X},
            ),
            "wrong": (function("wrong"), {"x": X}),
            "fails": (function("fails"), {"x": X}),
            "absent": (function("absent"), {"x": X}),
            "by name": (function("Pair"), pair),
            "half a name": (function("Pair"), {"first": X, "other": X}),
            "nested": (function("Many"), {"x": X}),
            "other size": (function("net"), {"x": X[:, :2]}),
        }
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nets")
    (folder / "nets.py").write_text(NETS)
    with ChildProcesses() as children:
        return children.submit(all_cases, folder / "nets.py", log=folder / "log").result()


@pytest.mark.parametrize("name", ["safetensors", "state"])
def test_weights_of_both_kinds_are_loaded(results, name):
    np.testing.assert_allclose(results[name]["output"], X @ WEIGHT.T + BIAS)


def test_inputs_go_to_the_parameters_of_their_names(results):
    np.testing.assert_array_equal(results["by name"]["output"], 2 * X)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("list", "must hold a state dictionary, not list"),
        ("missing", "w.safetensors lacks bias; give the right weights"),
        ("unexpected", "has z, which the model lacks"),
        ("shape", "size mismatch for bias"),
        ("wrong", "must return a torch.nn.Module, not int"),
        ("fails", "failed: ValueError: no such layer"),
        ("absent", "cannot be found"),
        ("half a name", "takes first, second, but the samples have first, other"),
        ("nested", "output output_1 is not a tensor"),
        ("other size", "does not take x float32[2, 2]"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(results, name, words):
    assert isinstance(results[name], UsageError)
    assert words in str(results[name])
    assert isinstance(results[name], NotFoundError) == (name == "absent")
