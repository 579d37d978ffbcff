"""A run that goes on: what is checked before anything starts, and what its recipe and data are."""

import contextlib

import pytest

from toolkit import source
from toolkit.console import Screen
from toolkit.data.load import load
from toolkit.errors import DataError, UsageError
from toolkit.planning.train import plan_resume
from toolkit.runs import Run
from toolkit.source import RecipeSource
from toolkit.train import cluster, training
from toolkit.train.origin import facts_of
from toolkit.train.resuming import recorded
from toolkit.train.session import Options

RECIPE = """
from pathlib import Path
import numpy as np
from toolkit import Data, Recipe, Split, Stream

def read():
    return [([1.0], 2.0), ([2.0], 4.0)]

def data():
    x = np.loadtxt(Path(__file__).parent / "x.txt", dtype=np.float32)
    return Data(train=TRAIN, validation=Split(x, 2 * x))

recipe = Recipe("doubled", data, torch=object, start_from="weights.safetensors")
"""
ARRAYS, STREAM = "Split(x, 2 * x)", "Stream(read, inputs='x', target='y')"


def begun(folder, train):
    """A run that was stopped before it trained a step."""
    (folder / "x.txt").write_text("1 2 3")
    path = folder / "recipe.py"
    path.write_text(RECIPE.replace("TRAIN", train))
    found = source.find(str(path))
    arrays = RecipeSource(RECIPE.replace("TRAIN", ARRAYS), str(path))
    dataset = load(arrays.load())  # other data than the stream's
    facts = facts_of(found.load(), dataset) | {"options": recorded(Options(("torch",)))}
    run = Run.create(folder / "runs", "doubled", found, facts)
    run.update(status="stopped")
    return run


def go_on(run):
    with training.again(run, Options(("torch",)), Screen(quiet=True)):
        pytest.fail("it went on")


def tell(run):
    return plan_resume(run, Options(("torch",)))


class RayStartedError(Exception):
    """Ray would have been started."""


@pytest.fixture
def no_ray(monkeypatch):
    def connect(*_):
        raise RayStartedError

    monkeypatch.setattr(cluster, "connect", connect)


@pytest.mark.parametrize("resume", [go_on, tell])
def test_other_arrays_are_refused_before_anything_starts(tmp_path, no_ray, resume):
    run = begun(tmp_path, ARRAYS)
    (tmp_path / "x.txt").write_text("1 2 4")
    with pytest.raises(DataError, match=f"the data of recipe 'doubled' .* run {run.name} began"):
        resume(run)
    assert run.facts["status"] == "stopped"


def test_the_recipe_is_the_runs_own_whatever_became_of_the_file(tmp_path, no_ray):
    run = begun(tmp_path, ARRAYS)
    (tmp_path / "recipe.py").write_text("recipe = None")
    with pytest.raises(RayStartedError):
        go_on(run)
    assert tell(run).stages[0].facts["recipe"] == "doubled"
    run.write("recipe.py", b"recipe = None")
    with pytest.raises(UsageError, match=r"recipe\.py was changed after training"):
        go_on(run)


def test_weights_to_start_from_are_kept_with_the_run(tmp_path):
    run = begun(tmp_path, ARRAYS)
    assert not (tmp_path / "weights.safetensors").exists()
    assert tell(run).run == str(run.path)


def test_other_streams_are_refused_once_they_are_read(tmp_path, ray_cluster, monkeypatch):
    monkeypatch.setattr(cluster, "connect", lambda *_: contextlib.nullcontext())
    monkeypatch.setenv("TOOLKIT_CACHE_DIR", str(tmp_path / "cache"))
    run = begun(tmp_path, STREAM)
    assert tell(run).stages[0].facts["data"]["streams"] == ["train"]
    with pytest.raises(DataError, match="are not those"):
        go_on(run)
