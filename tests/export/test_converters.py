"""Real conversions of models that converters stumble over, compared with the source model."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge.runtime import load
from tests.export.zoo import convert_all
from toolkit.export import quantise_flatbuffer as flatbuffer
from toolkit.export.quantise import quantise
from toolkit.export.quantise_ranges import ranges_of
from toolkit.hosts import ChildProcesses

FREE, ONE, TWO = None, 1, 2
KERAS = {  # model -> the batch that its .tflite and its .onnx file take
    "dictionaries": (FREE, FREE),
    "lists": (FREE, FREE),
    "embedding": (FREE, FREE),
    "image": (FREE, FREE),
    "channels_first": (FREE, FREE),
    "lstm": (FREE, FREE),
    "long_lstm": (ONE, None),  # TFLite's converter has no loop of any batch size
    "attention": (FREE, FREE),
    "sequence": (FREE, FREE),
    "saved_model": (FREE, FREE),
    "recipe": (FREE, FREE),
    "fixed_batch": (TWO, TWO),
    "mixed": (FREE, FREE),
}
KERAS_SOAK = {"gru": (TWO, TWO)}
KERAS_ERRORS = ("no_operator", "new_opset")
TORCH = {
    "two_outputs": (ONE, FREE),
    "tuples": (ONE, FREE),
    "embedding": (ONE, FREE),
    "tied": (ONE, None),
    "image": (ONE, FREE),
    "static_program": (TWO, TWO),
}
TORCH_SOAK = {
    "dictionary": (ONE, FREE),
    "channels_last": (TWO, TWO),
    "lstm": (ONE, FREE),
    "gru": (ONE, FREE),
    "attention": (ONE, FREE),
    "encoder": (ONE, FREE),
    "sequence": (None, FREE),
    "opset": (None, FREE),
    "old_opset": (None, FREE),
    "program": (ONE, FREE),
}
TORCH_ERRORS = ("one_batch", "no_operator", "new_opset", "other_batch")


def zoo(factory: pytest.TempPathFactory, name: str, models: list[str]) -> Path:
    folder = factory.mktemp(name)
    with ChildProcesses() as children:
        children.submit(convert_all, name, models, folder, log=folder / "log").result()
    return folder


@pytest.fixture(scope="module")
def keras_zoo(tmp_path_factory):
    return zoo(tmp_path_factory, "keras_zoo", [*KERAS, *KERAS_ERRORS])


@pytest.fixture(scope="module")
def torch_zoo(tmp_path_factory):
    return zoo(tmp_path_factory, "torch_zoo", [*TORCH, *TORCH_ERRORS])


@pytest.fixture(scope="module")
def keras_soak(tmp_path_factory):
    return zoo(tmp_path_factory, "keras_zoo", list(KERAS_SOAK))


@pytest.fixture(scope="module")
def torch_soak(tmp_path_factory):
    return zoo(tmp_path_factory, "torch_zoo", list(TORCH_SOAK))


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def results(folder: Path) -> dict[str, dict]:
    found: dict[str, dict] = json.loads((folder / "result.json").read_text())
    return found


def assert_equal(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Every output by its name; the zoos' weights make no two outputs alike."""
    assert set(got) == set(expected)
    for name, array in expected.items():
        assert np.abs(got[name] - array).max() <= 1e-5 * np.ptp(array), name


def check(folder: Path, batches: dict[str, int | None]) -> None:
    """Both files, and a savedmodel or .pt2, answer what the source does, one by one as well."""
    inputs, expected = arrays(folder / "inputs.npz"), arrays(folder / "expected.npz")
    made = results(folder)
    assert not [result["error"] for result in made.values() if "error" in result]
    for target in set(made) & {"tflite", "onnx"}:
        assert made[target]["batch"] == batches[target]
        if target == "tflite" and batches[target] == ONE:
            assert "takes one sample at a time" in made[target]["note"]
        model = load(folder / f"model.{target}")
        assert {tensor.shape[0] for tensor in model.inputs} == {batches[target]}
        assert_equal(model.predict(inputs), expected)
        if batches[target] is FREE:
            one = model.predict({name: array[:1] for name, array in inputs.items()})
            for name, array in one.items():
                limit = 1e-5 * np.ptp(expected[name])
                assert np.abs(array - expected[name][:1]).max() <= limit
    for target in set(made) & {"savedmodel", "pt2"}:
        assert_equal(arrays(folder / f"{target}.npz"), expected)


@pytest.mark.parametrize("name", KERAS)
def test_keras_models_convert_and_agree(keras_zoo, name):
    check(keras_zoo / name, dict(zip(("tflite", "onnx"), KERAS[name], strict=True)))


@pytest.mark.parametrize("name", TORCH)
def test_torch_models_convert_and_agree(torch_zoo, name):
    check(torch_zoo / name, dict(zip(("tflite", "onnx"), TORCH[name], strict=True)))


@pytest.mark.soak
@pytest.mark.parametrize("name", KERAS_SOAK)
def test_further_keras_models_convert_and_agree(keras_soak, name):
    check(keras_soak / name, dict(zip(("tflite", "onnx"), KERAS_SOAK[name], strict=True)))


@pytest.mark.soak
@pytest.mark.parametrize("name", TORCH_SOAK)
def test_further_torch_models_convert_and_agree(torch_soak, name):
    check(torch_soak / name, dict(zip(("tflite", "onnx"), TORCH_SOAK[name], strict=True)))


def test_what_is_done_about_recurrent_layers_is_said(keras_zoo):
    short, long = (results(keras_zoo / name)["tflite"]["note"] for name in ("lstm", "long_lstm"))
    assert "unrolled" in short
    assert "'lstm'" in short
    assert "layer 'lstm_1'" in long
    assert not results(keras_zoo / "image")["tflite"]["note"]


def test_an_operator_that_a_target_lacks_is_named_with_its_layer(keras_zoo, torch_zoo):
    keras, torch = (results(folder / "no_operator") for folder in (keras_zoo, torch_zoo))
    for result in (*keras.values(), *torch.values()):
        assert result["kind"] == "ConversionError"
    assert "Erfinv in layer 'erfinv'" in keras["tflite"]["error"]
    assert "Erfinv (layer 'erfinv'" in keras["onnx"]["error"]
    for result in torch.values():
        assert "bessel_j0" in result["error"]


@pytest.mark.parametrize("target", ["onnx", "pt2"])
def test_a_model_of_one_batch_size_is_told_what_to_change(torch_zoo, target):
    result = results(torch_zoo / "one_batch")[target]
    assert result["kind"] == "ConversionError"
    assert "axis 0 of input 'x' has the size 2" in result["error"]
    assert "--batch" in result["error"]


def test_a_batch_size_that_a_program_does_not_take_is_refused(torch_zoo):
    result = results(torch_zoo / "other_batch")["onnx"]
    assert result["kind"] == "UsageError"
    assert "takes batches of 2 only; leave out --batch 3" in result["error"]


def test_an_operator_set_that_is_not_written_is_refused(keras_zoo, torch_zoo):
    for folder in (keras_zoo, torch_zoo):
        result = results(folder / "new_opset")["onnx"]
        assert result["kind"] == "ConversionError"
        assert "opset" in result["error"]


def opset_of(path: Path) -> int:
    (version,) = [item.version for item in onnx.load(path).opset_import if item.domain == ""]
    return int(version)


def test_a_file_has_the_operator_set_that_was_asked_for(keras_zoo, torch_zoo):
    assert opset_of(keras_zoo / "recipe" / "model.onnx") == 15
    assert opset_of(torch_zoo / "tuples" / "model.onnx") == 18


def random_ids(count: int) -> dict[str, np.ndarray]:
    return {"ids": np.random.default_rng(0).integers(0, 20, (count, 6), dtype=np.int32)}


def lookup(content: bytes):
    """Of the only embedding: the operator's name, and its table."""
    tree = flatbuffer.parse(content)
    (graph,) = tree.subgraphs
    place = {"GATHER": 0, "EMBEDDING_LOOKUP": 1}
    ((name, operator),) = [one for one in flatbuffer.operators(tree, graph) if one[0] in place]
    return name, graph.tensors[operator.inputs[place[name]]]


@pytest.mark.parametrize("precision", ["dynamic", "int8", "int8-float", "16x8"])
@pytest.mark.parametrize("name", ["embedding", "tied"])
def test_the_table_of_a_torch_embedding_becomes_integers(torch_zoo, tmp_path, name, precision):
    content = (torch_zoo / name / "model.tflite").read_bytes()
    calibration = None if precision == "dynamic" else random_ids(64)
    path = tmp_path / "model.tflite"
    path.write_bytes(quantise(content, "tflite", precision, calibration))
    _, table = lookup(path.read_bytes())
    stays = name == "tied" and precision == "int8-float"  # its other reader makes the output
    assert table.type == (schema.TensorType.FLOAT32 if stays else schema.TensorType.INT8)
    if not stays:
        rows = 20 if name == "tied" and precision == "dynamic" else 1
        assert len(table.quantization.scale) == rows
    asked = random_ids(64)  # other ids may go beyond the ranges that were seen
    expected = load(torch_zoo / name / "model.tflite").predict(asked)
    for output, values in load(path).predict(asked).items():
        assert np.abs(values - expected[output]).max() < 0.05 * np.ptp(expected[output])


def test_a_torch_embedding_is_the_operator_that_second_runtimes_know(torch_zoo):
    """But one whose table is another layer's too, which integers would double."""
    names = [
        lookup((torch_zoo / n / "model.tflite").read_bytes())[0] for n in ("embedding", "tied")
    ]
    assert names == ["GATHER", "EMBEDDING_LOOKUP"]


def test_ranges_are_of_tensors_and_not_of_scratch_memory(torch_zoo):
    """MEAN has some, without a name, that may hold NaN."""
    content = (torch_zoo / "embedding" / "model.tflite").read_bytes()
    (signature,) = flatbuffer.parse(content).signatureDefs
    ranges = ranges_of(content, signature, [random_ids(1)])
    assert all(ranges)


def test_tensors_of_torch_are_called_after_modules_alone(torch_zoo):
    tree = flatbuffer.parse((torch_zoo / "tied" / "model.tflite").read_bytes())
    names = [flatbuffer.text(tensor.name) for tensor in tree.subgraphs[0].tensors]
    assert "ids" in names
    assert any(name.startswith("Tied_model/Linear_inner;") for name in names)
    assert not [name for name in names if "torch" in name or "." in name.replace("arith.", "")]


@pytest.mark.soak
def test_older_and_newer_operator_sets(torch_soak):
    assert opset_of(torch_soak / "opset" / "model.onnx") == 20
    assert opset_of(torch_soak / "old_opset" / "model.onnx") == 13


def test_an_onnx_file_knows_its_sizes(keras_zoo):
    (value,) = onnx.load(keras_zoo / "attention" / "model.onnx").graph.output
    sizes = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
    assert sizes == ["batch", 5, 3]


def test_a_savedmodel_carries_its_manifest(keras_zoo):
    folder = keras_zoo / "dictionaries" / "savedmodel"
    manifest = json.loads((folder / "assets.extra" / "manifest.json").read_text())
    assert [tensor["name"] for tensor in manifest["outputs"]] == ["total", "apart"]
