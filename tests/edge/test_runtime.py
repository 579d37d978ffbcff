"""Real files in real runtimes."""

import numpy as np
import pytest

from edge.errors import BrokenRuntimeError, InputError, ModelError
from edge.runtime import load
from edge.tensor import Tensor

FOUR = np.array([[4.0]], np.float32)


def test_twice_four_is_eight(double):
    model = load(double())
    assert model.predict({"x": FOUR})["y"].tolist() == [[8]]
    assert model.inputs == (Tensor("x", (None, 1), "float32"),)
    assert model.outputs == (Tensor("y", (None, 1), "float32"),)
    assert model.manifest is None
    assert model.runtime.split()[0] in ("LiteRT", "onnxruntime")


def test_the_batch_may_change_from_call_to_call(double):
    model = load(double(), threads=2)
    for count in (1, 3, 3, 1, 2):
        values = np.arange(count, dtype=np.float32)[:, None]
        np.testing.assert_array_equal(model.predict({"x": values})["y"], values * 2)


def test_an_answer_is_not_overwritten_by_the_next(double):
    model = load(double())
    first = model.predict({"x": FOUR})["y"]
    model.predict({"x": FOUR * 5})
    assert first.tolist() == [[8]]


def test_arrays_in_any_memory_order(double):
    values = np.arange(6, dtype=np.float32)[::2, None]
    assert load(double()).predict({"x": values})["y"].ravel().tolist() == [0, 4, 8]


def test_the_manifest_is_read_and_names_the_tensors(double, describe):
    manifest = describe(extra={"note": "ü"})
    model = load(double(manifest=manifest))
    assert model.manifest == manifest
    assert model.predict({"value": FOUR})["twice"].tolist() == [[8]]


def test_a_manifest_of_another_model_is_refused(double, describe):
    manifest = describe(inputs=(Tensor("value", (None, 3), "float32"),))
    with pytest.raises(ModelError, match=r"double.*inputs: the manifest says value"):
        load(double(manifest=manifest))


def test_the_content_decides_and_not_the_name(tflite, tmp_path):
    path = tflite("double").rename(tmp_path / "model.onnx")
    assert load(str(path)).predict({"x": FOUR})["y"].tolist() == [[8]]


def test_tflite_with_a_fixed_batch(tflite):
    model = load(tflite("fixed"))
    assert model.inputs[0].shape == (2, 1)
    values = np.arange(4, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(model.predict({"x": values})["y"], values * 2)
    with pytest.raises(InputError, match="takes 2 samples at a time"):
        model.predict({"x": FOUR})


def test_onnx_with_a_fixed_batch(onnx):
    values = np.arange(3, dtype=np.float32)[:, None]
    outputs = load(onnx(batch=1)).predict({"x": values})
    np.testing.assert_array_equal(outputs["y"], values * 2)


def test_several_inputs_and_outputs_keep_their_names(tflite, describe):
    values = {"a": np.array([[1, 2]]), "b": np.array([[5, 5]])}
    model = load(tflite("two"))
    outputs = model.predict(values)
    assert {name: array.tolist() for name, array in outputs.items()} == {
        "total": [[6, 7]],
        "apart": [[4, 3]],
    }
    tensors = {name: Tensor(name, (None, 2), "float32") for name in ("a", "b", "total", "apart")}
    manifest = describe(
        inputs=(tensors["b"], tensors["a"]), outputs=(tensors["total"], tensors["apart"])
    )
    model = load(tflite("two", manifest))
    assert [tensor.name for tensor in model.inputs] == ["b", "a"]
    assert [tensor.name for tensor in model.outputs] == ["total", "apart"]
    assert model.predict(values)["apart"].tolist() == [[4, 3]]


def test_every_cut_of_a_file_is_refused(double):
    path = double()
    whole = path.read_bytes()
    for end in range(0, len(whole), 13):
        path.write_bytes(whole[:end])
        with pytest.raises(ModelError, match=r"double\."):
            load(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"hello world" * 9, "no .tflite or .onnx model, or damaged"),
        (b"\x1c\0\0\0TFL3" + bytes(64), "LiteRT .* cannot read the file"),
        (b"PK\x03\x04 keras", "a zip archive, such as a .keras or .pt checkpoint"),
        (b"\x89HDF\r\n", "HDF5"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, content, words):
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" in str(caught.value)  # the next step


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("tflite", b"serving_default_x", b"\xfferving_default_x"),
        ("tflite", b"TFL3", b"TFL4"),
        ("onnx", b"Mul", b"M\xffl"),
        ("onnx", b"Mul", b"Mol"),
    ],
)
def test_changed_bytes_are_a_model_error(request, capfd, kind, old, new):
    path = request.getfixturevalue(kind)()
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(ModelError, match=r"double\."):
        load(path)
    assert capfd.readouterr().out == ""  # stdout is for answers


def test_folders_and_missing_files(tmp_path):
    with pytest.raises(ModelError, match="a folder"):
        load(tmp_path)
    with pytest.raises(ModelError, match="No such file") as caught:
        load(tmp_path / "none.onnx")
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_operations_that_the_runtime_lacks(tflite, onnx):
    with pytest.raises(ModelError, match=r"needs TensorFlow operations .*: FlexMatrixInverse") as e:
        load(tflite("flex"))
    assert isinstance(e.value.__cause__, RuntimeError)
    with pytest.raises(ModelError, match=r"needs an operation .* my.ops:Mul"):
        load(onnx(domain="my.ops"))
    with pytest.raises(ModelError, match=r"too new for onnxruntime .*\nupdate onnxruntime"):
        load(onnx(opset=99))


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_a_missing_runtime_names_the_package(request, monkeypatch, kind):
    path = request.getfixturevalue(kind)()
    for package in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "onnxruntime"):
        monkeypatch.setitem(__import__("sys").modules, package, None)
    package = {"tflite": "ai-edge-litert", "onnx": "onnxruntime"}[kind]
    with pytest.raises(
        BrokenRuntimeError, match=f"no runtime for .{kind} files.*\npip .*{package}"
    ):
        load(path)


def test_threads_are_checked(onnx):
    with pytest.raises(ValueError, match="threads is 0"):
        load(onnx(), threads=0)
