"""What a training starts from: a file, or the trained model of a run."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.train.real import FRAMEWORKS, train, weights
from toolkit import source
from toolkit.artifacts import MODEL_FILES
from toolkit.errors import NotFoundError
from toolkit.runs import Run
from toolkit.train.weights import keep, kept, read

RECIPE = """
from dataclasses import replace
from toolkit import SGD
from toolkit.recipes import linear

recipe = replace(
    linear.recipe, name="again", epochs=1, optimizer=SGD(0.0), start_from=START, validate_every=1
)
"""


def recipe_in(folder, start):
    path = folder / "again.py"
    path.write_text(RECIPE.replace("START", repr(start)))
    return source.find(str(path))


def first(found, framework):
    return read(found, found.load(), framework)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_run_is_gone_on_from_by_each_framework_with_its_own_model(
    tmp_path, linear_copy, ray_cluster, framework
):
    found = recipe_in(tmp_path, f"runs/{linear_copy.name}")
    content = first(found, framework)
    trained = train(framework, 1, found, start=content)
    before = SimpleNamespace(files={MODEL_FILES[framework]: content})
    for one, other in zip(weights(before), weights(trained), strict=True):
        np.testing.assert_array_equal(one, other)
    assert trained.metrics["val_mae"] < 0.05


def test_files_are_named_by_framework_and_kept_with_the_run(tmp_path):
    (tmp_path / "one.safetensors").write_bytes(b"weights")
    found = recipe_in(tmp_path, {"torch": "one.safetensors"})
    content = first(found, "torch")
    assert (content, first(found, "tf")) == (b"weights", None)
    run = Run.create(tmp_path, "again", found, {})
    keep(run, "torch", content)
    (tmp_path / "one.safetensors").unlink()
    assert (kept(run, "torch"), kept(run, "tf")) == (b"weights", None)


def unfinished(folder, **facts):
    found = source.find("linear")
    return Run.create(folder / "runs", "linear", found, facts)


def test_a_run_without_the_model_says_how_to_get_it(tmp_path):
    going = {"options": {"frameworks": ["tf"]}, "frameworks": {"torch": {}}}
    run = unfinished(tmp_path, **going)
    run.write("torch/model.safetensors", b"weights")
    found = recipe_in(tmp_path, f"runs/{run.name}/")
    assert first(found, "torch") == b"weights"
    place = tmp_path / "runs" / run.name
    with pytest.raises(NotFoundError, match=f"TensorFlow model; .* train --resume {place}$"):
        first(found, "tf")
    run.update(options={"frameworks": ["torch"]})
    with pytest.raises(NotFoundError, match=r"; train one: .*linear\.py --framework both$"):
        first(found, "tf")
    run.update(status="adopted", recipe=None)
    with pytest.raises(NotFoundError, match=r"'start_from': run .* give its file of weights$"):
        first(found, "tf")


@pytest.mark.parametrize(
    ("start", "problem"),
    [
        ("none.keras", "none.keras cannot be read: No such file"),
        ("runs/linear-2026", "linear-2026 cannot be read: No such file"),
        ("runs", "runs is a folder, but no run"),
    ],
)
def test_what_is_neither_a_file_nor_a_run_is_refused(tmp_path, start, problem):
    unfinished(tmp_path)
    found = recipe_in(tmp_path, start)
    wanted = f"recipe 'again', field 'start_from': .*{problem}.* the directory of a run"
    with pytest.raises(NotFoundError, match=wanted):
        first(found, "torch")


def test_a_damaged_run_is_named(tmp_path):
    run = unfinished(tmp_path)
    run.write("run.json", b"{")
    with pytest.raises(NotFoundError, match=r"'start_from': .* not a usable run directory"):
        first(recipe_in(tmp_path, f"runs/{run.name}"), "tf")
