"""The Python functions: the tour in the documentation runs as it is, and arguments are checked."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from toolkit import Data, Recipe, Split, api
from toolkit.api.given import file_of, job_of, request_of
from toolkit.artifacts import PRECISIONS, from_npz
from toolkit.errors import NotFoundError, UsageError
from toolkit.runs import Run

TOUR = ROOT / "docs" / "examples" / "tour.py"


def toured(text, folder):
    """What the tour prints, as a script in an empty folder."""
    (folder / "tour.py").write_text(text)
    done = subprocess.run(
        [sys.executable, folder / "tour.py"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "__main__" not in text  # children must not run it again
    assert [file.name for file in folder.iterdir()] == ["tour.py"]
    return done


@pytest.mark.soak
def test_the_tour_of_the_documentation_runs_as_it_is(tmp_path):
    done = toured(TOUR.read_text(), tmp_path)
    assert done.stdout.count("4.0 gives 8.0000") == 6
    assert done.stdout.count("val_loss") == 2
    assert "report" in done.stdout.splitlines()[-1]
    assert done.stderr.count("training 'linear'") == 1


def test_the_tour_takes_a_run_to_the_device(tmp_path, linear_copy):
    """Everything but its training and exporting, which other tests do by the same stages."""
    text = TOUR.read_text()
    for work, instead in (
        ('api.train("linear", workers=2, runs=runs)', f"api.find({str(linear_copy)!r})"),
        ('api.export(run, targets=["tflite", "onnx"])', "run.exports"),
    ):
        assert text.count(work) == 1
        text = text.replace(work, instead)
    folder = tmp_path / "empty"
    folder.mkdir()
    done = toured(text, folder)
    assert done.stdout.count("4.0 gives 8.0000") == 6
    assert "[[8." in done.stdout or "[[7.99" in done.stdout
    assert "report" in done.stdout.splitlines()[-1]


def test_what_is_offered_is_there_and_explained():
    assert all(hasattr(api, name) for name in api.__all__)
    functions = [getattr(api, name) for name in api.__all__ if name.islower()]
    assert all(inspect.getdoc(function) for function in functions)


def test_the_best_of_a_run_may_be_any_precision(monkeypatch):
    monkeypatch.setattr("toolkit.pipeline.run_all", lambda job, *_: job)
    best, plain = (api.run_all(precisions=[name]) for name in ("best", "fp16"))
    assert (best.best, best.request.precisions) == (True, PRECISIONS)
    assert (plain.best, plain.request.precisions) == (False, ("fp16",))


def test_a_recipe_is_a_name_a_path_or_a_text(tmp_path):
    found, options = job_of("linear", 2, None, {"epochs": 3, "quiet": True, "keep": 1})
    assert (found.load().epochs, options.workers, options.keep) == (3, (2, 2), 1)
    assert options.frameworks == ("tf", "torch")
    again, _ = job_of(found, (1, 2), "torch", {"seed": 7})
    assert (again.load().epochs, again.load().seed) == (3, 7)
    data = Data(Split([[1.0]], [[2.0]]), Split([[1.0]], [[2.0]]))
    recipe = Recipe(name="mine", data=lambda: data, torch=object, loss="mse")
    with pytest.raises(UsageError, match="path of its file"):
        job_of(recipe, None, None, {})
    with pytest.raises(NotFoundError, match="linear"):
        job_of("lineer", None, None, {})


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"keep": 0}, "keep is 0"),
        ({"max_failures": -1}, "max_failures is -1"),
        ({"checkpoint_every": 0}, "checkpoint_every is 0"),
        ({"checkpoint_every": "sometimes"}, "checkpoint_every is 'sometimes'"),
    ],
)
def test_options_out_of_range_are_refused_before_anything_starts(how, match):
    with pytest.raises(UsageError, match=match):
        job_of("linear", 1, None, how)


@pytest.mark.parametrize("workers", [0, (0, 2), (3, 2)])
def test_workers_are_counted_from_one_on(workers):
    with pytest.raises(UsageError, match="workers is "):
        job_of("linear", workers, None, {})


@pytest.mark.parametrize(
    ("targets", "precisions", "form", "match"),
    [
        (("tflit",), ("fp32",), {}, "no target 'tflit'; did you mean 'tflite'"),
        ((), ("fp32", "in8"), {}, "no precision 'in8'; did you mean 'int8'"),
        ((), ("fp32",), {"layout": "nhcw"}, "no layout 'nhcw'"),
    ],
)
def test_names_that_are_not_known_are_answered_with_the_nearest(targets, precisions, form, match):
    with pytest.raises(UsageError, match=match):
        request_of(("tf",), targets, precisions, form)


def test_a_framework_that_is_not_known_is_answered_with_the_nearest(tmp_path):
    named = r"no framework 'pytorch'; did you mean 'torch'"
    with pytest.raises(UsageError, match=named):
        api.export(Run(tmp_path), framework="pytorch")
    with pytest.raises(UsageError, match=named):
        job_of("linear", 1, "pytorch", {})


def test_targets_that_no_model_has_are_left_out_unless_they_were_named():
    assert request_of(("onnx",), (), ("all",), {}).targets == ("onnx",)
    assert request_of(("onnx",), ("tflite",), ("fp32",), {"batch": 4}).batch == 4


def test_runs_are_found_by_value_name_path_and_age(linear_copy):
    root = linear_copy.parent
    run = Run(linear_copy)
    assert api.find(run) is run
    for found in (api.find(runs=root), api.find(run.name, runs=root), api.find(linear_copy)):
        assert found.path == run.path
    assert [each.name for each in api.runs(root)] == [run.name]
    assert run.name in repr(run)
    with pytest.raises(NotFoundError):
        api.find("nothing", runs=root)


def test_samples_are_a_file_or_arrays(tmp_path, linear_copy):
    values = np.array([[1.0], [4.0]], np.float32)
    with file_of({"x": values}) as path:
        assert from_npz(path.read_bytes())["x"].tolist() == [[1.0], [4.0]]
    with file_of(tmp_path / "given.npz") as path:
        assert path == tmp_path / "given.npz"
    files = [linear_copy / f"exports/linear-tf-fp32{end}" for end in (".tflite", "-opset18.onnx")]
    result = api.compare(*files, samples={"x": values})
    assert result.passed
    assert (result.samples, result.made_up) == (2, False)


def test_a_model_from_elsewhere_becomes_a_run(tmp_path, linear_copy):
    x = np.linspace(0, 1, 8, dtype=np.float32)[:, None]
    model = linear_copy / "exports/linear-torch-fp32-opset18.onnx"
    run = api.adopt(model, runs=tmp_path, name="twice", samples={"x": x, "targets": 2 * x})
    assert run.facts["status"] == "adopted"
    assert run.card.name == "twice"
    (export,) = api.export(run, targets=["onnx"])
    assert export.file == "exports/twice-onnx-fp32.onnx"
    with pytest.raises(UsageError, match=r"no TensorFlow model \(it has onnx\); leave --framework"):
        api.export(run, framework="tf")
