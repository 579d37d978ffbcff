"""Model files from elsewhere: damaged ones are refused, and none runs code."""

import io
import json
import pickle
import zipfile

import h5py
import numpy as np
import pytest

from toolkit.errors import NotFoundError, UsageError
from toolkit.hosts import ChildProcesses
from toolkit.models.predict import predict
from toolkit.models.source import ModelSource, read

X = {"x": np.ones((2, 3), np.float32)}


def packed(layer):
    """A .keras file of a Sequential of one layer, without weights."""
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        text = json.dumps(config | {"module": "keras", "registered_name": None})
        archive.writestr("config.json", text)
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", b"")
    return buffer.getvalue()


def in_h5(path, config):
    with h5py.File(path, "w") as file:
        if config:
            file.attrs["model_config"] = json.dumps(config)
    return path.read_bytes()


def refusals(models):
    """Why each model is refused; one process for all."""
    found = {}
    for name, model in models.items():
        try:
            predict(model, X)
        except UsageError as error:
            found[name] = str(error)
    return found


def in_child(folder, models):
    with ChildProcesses() as children:
        return children.submit(refusals, models, log=folder / "log").result()


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras")
    evil = {"class_name": "Lambda", "config": {"name": "evil", "function": ["code", None, None]}}
    mine = {"class_name": "Mine", "module": "mine", "registered_name": "Mine", "config": {}}
    registered = {"class_name": "Own", "module": None, "registered_name": "p>Own", "config": {}}
    whole = {"class_name": "Sequential", "config": {"name": "s", "layers": [evil]}}
    contents = {
        "lambda.keras": packed(evil),
        "custom.keras": packed(mine),
        "registered.keras": packed(registered),
        "cut.keras": b"PK\x03\x04 cut off",
        "other.keras": b"no model at all",
        "lambda.h5": in_h5(folder / "lambda.h5", whole),
        "weights.h5": in_h5(folder / "weights.h5", None),
    }
    models = {
        name: ModelSource(name.rpartition(".")[2], "tf", {name: content})
        for name, content in contents.items()
    }
    models["savedmodel"] = ModelSource("savedmodel", "tf", {"saved_model.pb": b"damaged"})
    return in_child(folder, models)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lambda.keras", "has the Lambda layer 'evil', which is code inside a file and is not run"),
        ("lambda.h5", "has the Lambda layer 'evil', which is code inside a file and is not run"),
        ("custom.keras", "needs the custom class 'Mine'"),
        ("registered.keras", "needs the custom class 'Own'"),
        ("cut.keras", "cut.keras is damaged, or no Keras model"),
        ("other.keras", "other.keras is damaged, or no Keras model"),
        ("weights.h5", "it holds weights only; build the model in a recipe"),
        ("savedmodel", "the SavedModel cannot be read"),
    ],
)
def test_keras_files_that_are_damaged_or_need_code_are_refused(keras, name, words):
    assert words in keras[name]


def test_torch_files_that_are_damaged_or_hold_code_are_refused(tmp_path):
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (open, (str(mark), "w"))

    def weights(name, content):
        function = "tests.export.torch_zoo:Recurrent"
        return ModelSource("function", "torch", {name: content}, function=function)

    models = {
        "code": weights("weights.pt", pickle.dumps(Evil())),
        "damaged": weights("weights.safetensors", b"damaged"),
        "pt2": ModelSource("pt2", "torch", {"model.pt2": b"damaged"}),
    }
    found = in_child(tmp_path, models)
    assert "weights.pt cannot be read as weights alone" in found["code"]
    assert not mark.exists()
    assert "weights.safetensors cannot be read" in found["damaged"]
    assert "the .pt2 file cannot be read" in found["pt2"]


def program(folder):
    """A good .pt2 file, and the same with pickled code where its example inputs are."""
    import torch

    class Evil:
        def __reduce__(self):
            return (open, (str(folder / "ran"), "w"))

    class Double(torch.nn.Module):
        def forward(self, x):
            return x * 2

    example = (torch.ones(2, 3),)
    torch.export.save(torch.export.export(Double(), example), folder / "good.pt2")
    good = (folder / "good.pt2").read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(buffer, "w") as new:
        for info in old.infolist():
            is_example = info.filename.endswith("sample_inputs/model.pt")
            new.writestr(info, pickle.dumps(Evil()) if is_example else old.read(info))
    return good, buffer.getvalue()


def answers(model):
    return predict(model, X)["output"]


def test_a_torch_program_runs_no_code(tmp_path):
    with ChildProcesses() as children:
        good, evil = children.submit(program, tmp_path, log=tmp_path / "log").result()
        one, other = (ModelSource("pt2", "torch", {"model.pt2": x}) for x in (good, evil))
        found = children.submit(refusals, {"evil": other}, log=tmp_path / "log").result()
        assert (children.submit(answers, one, log=tmp_path / "log").result() == 2).all()
    assert "the .pt2 file cannot be read" in found["evil"]
    assert not (tmp_path / "ran").exists()


def test_a_path_says_what_it_is(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"1234TFL3")
    assert read(str(tmp_path / "a.bin")).kind == "tflite"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "saved_model.pb").write_bytes(b"x")
    assert read(str(tmp_path / "folder")).kind == "savedmodel"
    assert read("some.module:net").function == "some.module:net"


def test_a_path_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "empty.onnx").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "run-1").mkdir()
    (tmp_path / "run-1" / "run.json").write_text("{}")
    for name, words in (
        ("a.txt", "no model that can be read"),
        ("empty.onnx", "is empty"),
        ("folder", "without saved_model.pb"),
        ("run-1", "is a run; name it with --runs-dir .* --run run-1"),
    ):
        with pytest.raises(UsageError, match=words):
            read(str(tmp_path / name))
    with pytest.raises(NotFoundError, match="No such file"):
        read(str(tmp_path / "absent.onnx"))
    with pytest.raises(UsageError, match="--weights belongs to a torch"):
        read(str(tmp_path / "a.txt"), tmp_path / "w.pt")
