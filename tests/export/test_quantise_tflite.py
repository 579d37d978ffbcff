"""TFLite files in other precisions, run by LiteRT and held against the fp32 file."""

import io
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge.manifest import Manifest
from edge.manifest_tflite import append_to_tflite, read_from_tflite
from edge.runtime import load
from edge.tensor import Tensor
from toolkit.errors import ConversionError, UsageError
from toolkit.export import quantise_flatbuffer as flatbuffer
from toolkit.export.quantise import quantise

MODELS = textwrap.dedent(
    """
    import sys
    import keras, numpy as np, tensorflow as tf
    from pathlib import Path

    layers, folder = keras.layers, Path(sys.argv[1])
    keras.utils.set_random_seed(1)

    def save(name, model):
        model.export(folder / name, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / name))
        (folder / f"{name}.tflite").write_bytes(converter.convert())

    def cnn(batch):
        image = keras.Input((16, 16, 1), name="image", batch_size=batch)
        x = layers.Conv2D(16, 3, activation="relu")(image)
        x = layers.DepthwiseConv2D(3)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU(6.0)(x)
        x = layers.Conv2D(32, 3, activation="relu")(x)
        x = layers.Flatten()(x)
        x = layers.Dense(48, activation="relu")(x)
        model = keras.Model({"image": image}, {"logits": layers.Dense(10)(x)})
        model.layers[3].set_weights([np.linspace(0.2, 3, 16) for _ in range(4)])
        return model

    save("cnn", cnn(None))
    save("one", cnn(1))
    image = keras.Input((16, 16, 1), name="image")
    wide = layers.Dense(10)(layers.Dense(2048, activation="relu")(layers.Flatten()(image)))
    save("wide", keras.Model({"image": image}, {"logits": wide}))

    ids, rows = keras.Input((6,), name="ids", dtype="int32"), keras.Input((24,), name="rows")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(300, 32)(ids))
    x = layers.Dense(64, activation="relu")(layers.Concatenate()([x, rows]))
    outputs = {"big": 5000 * layers.Dense(1)(x), "small": layers.Dense(4)(x)}
    outputs["both"] = layers.Concatenate()([outputs["big"], outputs["small"]])
    save("two", keras.Model({"ids": ids, "rows": rows}, outputs))

    def recurrent(batch):
        steps = keras.Input((7, 4), name="steps", batch_size=batch)
        state = layers.LSTM(24, unroll=True)(steps)
        return keras.Model({"steps": steps}, {"logits": layers.Dense(3)(state)})

    save("lstm", recurrent(1))
    save("free_lstm", recurrent(None))
    """
)

STATIC = ("int8", "int8-float", "16x8")
ALL = ("fp16", "dynamic", *STATIC)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder of fp32 files as TensorFlow's converter makes them, manifest included."""
    folder = tmp_path_factory.mktemp("tflite")
    asked = [sys.executable, "-c", MODELS, str(folder)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("cnn", "one", "two", "wide", "lstm", "free_lstm"):
        path = folder / f"{name}.tflite"
        model = load(path)
        manifest = Manifest(name, "tf", "tflite", "fp32", model.inputs, model.outputs)
        path.write_bytes(append_to_tflite(path.read_bytes(), manifest))
    return folder


def samples(name: str, count: int = 64, seed: int = 0):
    random = np.random.default_rng(seed)
    if name == "two":
        ids = random.integers(0, 300, (count, 6), dtype=np.int32)
        return {"ids": ids, "rows": random.normal(size=(count, 24)).astype(np.float32)}
    if "lstm" in name:
        return {"steps": random.normal(size=(count, 7, 4)).astype(np.float32)}
    return {"image": random.random((count, 16, 16, 1), np.float32)}


def answers(content: bytes, path: Path, inputs):
    """Outputs by name; a file of batch one is asked sample by sample."""
    path.write_bytes(content)
    model = load(path)
    if model.inputs[0].shape[0] is None:
        return model.predict(inputs)
    count = len(next(iter(inputs.values())))
    parts = [model.predict({n: a[i : i + 1] for n, a in inputs.items()}) for i in range(count)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def snr(expected, got) -> float:
    """Signal to noise, in decibels."""
    return float(10 * np.log10((expected**2).mean() / ((expected - got) ** 2).mean()))


def names_of(content: bytes) -> set[str]:
    tree = flatbuffer.parse(content)
    return {flatbuffer.text(tensor.name) for tensor in tree.subgraphs[0].tensors}


@pytest.mark.parametrize("name", ["cnn", "one", "two", "wide"])
@pytest.mark.parametrize("precision", ALL)
def test_file_answers_like_fp32(files, tmp_path, name, precision):
    content = (files / f"{name}.tflite").read_bytes()
    calibration = samples(name) if precision in STATIC else None
    made = quantise(content, "tflite", precision, calibration)
    inputs = samples(name, 32, seed=1)
    expected = answers(content, tmp_path / "a.tflite", inputs)
    got = answers(made, tmp_path / "b.tflite", inputs)
    shared = name == "two" and precision in ("int8", "16x8")  # see the test of shared ranges
    judged = ["big"] if shared else list(expected)
    worst = min(snr(expected[output], got[output]) for output in judged)
    assert worst > (55 if precision == "fp16" else 24)
    assert len(made) < len(content) * (0.6 if precision == "fp16" else 0.42)


@pytest.mark.parametrize("name", ["lstm", "free_lstm"])
@pytest.mark.parametrize("precision", STATIC)
def test_an_unrolled_lstm_becomes_integers(files, tmp_path, name, precision):
    """Its first state is 0, so a gate of the first step goes nowhere and a product is always 0."""
    content = (files / f"{name}.tflite").read_bytes()
    made = quantise(content, "tflite", precision, samples(name))
    inputs = samples(name, 32, seed=1)
    expected = answers(content, tmp_path / "a.tflite", inputs)
    got = answers(made, tmp_path / "b.tflite", inputs)
    assert snr(expected["logits"], got["logits"]) > 15


def test_steps_that_share_weights_share_their_scale(files):
    tree = flatbuffer.parse(
        quantise((files / "lstm.tflite").read_bytes(), "tflite", "int8", samples("lstm"))
    )
    (graph,) = tree.subgraphs
    scales: dict[int, set[float]] = {}
    for kind, operator in flatbuffer.operators(tree, graph):
        if kind == "FULLY_CONNECTED":
            given = graph.tensors[operator.inputs[0]].quantization
            scales.setdefault(int(operator.inputs[1]), set()).add(float(given.scale[0]))
    assert len(scales) == 3  # of inputs, of states, of the last layer
    assert {len(found) for found in scales.values()} == {1}


def test_equal_vectors_are_stored_once(files):
    """Scales of channels and shapes repeat at each step of an unrolled LSTM."""
    content = (files / "lstm.tflite").read_bytes()
    tree = flatbuffer.parse(content)
    packed = flatbuffer.pack(tree)
    assert len(packed) < 0.9 * len(content)
    again = flatbuffer.parse(packed).subgraphs[0].tensors
    for one, two in zip(tree.subgraphs[0].tensors, again, strict=True):
        assert list(one.shape) == list(two.shape)
    for one, two in zip(tree.buffers, flatbuffer.parse(packed).buffers, strict=True):
        assert (one.data is None) == (two.data is None)
        assert one.data is None or bytes(one.data) == bytes(two.data)


@pytest.mark.parametrize("precision", ALL)
def test_manifest_names_and_shapes_are_kept(files, precision):
    content = (files / "cnn.tflite").read_bytes()
    made = quantise(content, "tflite", precision, samples("cnn") if precision in STATIC else None)
    before, after = read_from_tflite(content), read_from_tflite(made)
    assert after.precision == precision
    assert (after.inputs, after.outputs) == (before.inputs, before.outputs)
    assert names_of(content) <= names_of(made)
    assert after.outputs[0].shape == (None, 10)


@pytest.mark.parametrize("precision", ALL)
def test_same_input_gives_the_same_bytes(files, precision):
    content = (files / "two.tflite").read_bytes()
    calibration = samples("two") if precision in STATIC else None
    first, second = (quantise(content, "tflite", precision, calibration) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("precision", "dtype"), [("int8", "int8"), ("16x8", "int16")])
def test_integers_in_and_out_and_their_scales(files, tmp_path, precision, dtype):
    content = (files / "two.tflite").read_bytes()
    made = quantise(content, "tflite", precision, samples("two"), "int8")
    ids, rows = read_from_tflite(made).inputs
    assert ids == Tensor("ids", (None, 6), "int32")
    assert rows.dtype == "float32"
    low, high = (rows.quantization[0] * (q - rows.quantization[1]) for q in (-128, 127))
    calibrated = samples("two")["rows"]
    if dtype == "int8":
        assert (low, high) == pytest.approx((calibrated.min(), calibrated.max()), abs=0.05)
    assert all(tensor.quantization for tensor in read_from_tflite(made).outputs)
    types = {tensor.type for tensor in _ends(made)}
    assert types == {getattr(schema.TensorType, dtype.upper()), schema.TensorType.INT32}
    inputs = samples("two", 32, seed=1)
    expected = answers(content, tmp_path / "a.tflite", inputs)
    got = answers(made, tmp_path / "b.tflite", inputs)  # floats: edge converts
    assert snr(expected["big"], got["big"]) > 24


def _ends(content: bytes):
    graph = flatbuffer.parse(content).subgraphs[0]
    return [graph.tensors[index] for index in (*graph.inputs, *graph.outputs)]


def test_float_outputs_spare_values_that_share_a_range(files, tmp_path):
    """'both' joins thousands and ones: one scale for all of them leaves nothing of the ones."""
    content = (files / "two.tflite").read_bytes()
    inputs = samples("two", 32, seed=1)
    expected = answers(content, tmp_path / "a.tflite", inputs)["small"]
    found = {}
    for precision in ("int8", "int8-float"):
        made = quantise(content, "tflite", precision, samples("two"))
        got = answers(made, tmp_path / f"{precision}.tflite", inputs)["small"]
        found[precision] = snr(expected, got)
    assert found["int8"] < 6
    assert found["int8-float"] > 24


def test_files_behind_the_model_are_kept(files):
    buffer = io.BytesIO((files / "cnn.tflite").read_bytes())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    made = quantise(buffer.getvalue(), "tflite", "fp16", None)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.read("labels.txt") == b"cat\ndog\n"
        assert archive.namelist() == ["manifest.json", "labels.txt"]


def test_foreign_file_without_signature_and_manifest(files, tmp_path):
    tree = flatbuffer.parse((files / "cnn.tflite").read_bytes())
    tree.signatureDefs = []
    content = flatbuffer.pack(tree)
    path = tmp_path / "a.tflite"
    path.write_bytes(content)
    (name,) = (tensor.name for tensor in load(path).inputs)
    calibration = {name: samples("cnn")["image"]}
    made = quantise(content, "tflite", "int8", calibration)
    assert read_from_tflite(made) is None
    inputs = {name: samples("cnn", 32, seed=1)["image"]}
    ((_, expected),) = answers(content, path, inputs).items()
    ((_, got),) = answers(made, tmp_path / "b.tflite", inputs).items()
    assert snr(expected, got) > 24


@pytest.mark.parametrize(
    ("calibration", "words"),
    [
        ({}, "needs calibration samples"),
        ({"image": np.zeros((0, 16, 16, 1), np.float32)}, "needs calibration samples"),
        ({"picture": np.zeros((9, 16, 16, 1), np.float32)}, "the file's inputs are image"),
        ({"image": np.zeros((9, 8, 8, 1), np.float32)}, r"'image' is \[9, 8, 8, 1\]"),
    ],
)
def test_samples_that_do_not_fit(files, calibration, words):
    with pytest.raises(UsageError, match=words):
        quantise((files / "cnn.tflite").read_bytes(), "tflite", "int8", calibration)


def test_two_tensors_of_one_name_are_named(files):
    tree = flatbuffer.parse((files / "cnn.tflite").read_bytes())
    for tensor in tree.subgraphs[0].tensors[1:3]:
        tensor.name = "twin"
    with pytest.raises(ConversionError, match="twin"):
        quantise(flatbuffer.pack(tree), "tflite", "int8", samples("cnn"))


def test_values_beyond_half_precision_stay_whole(files):
    tree = flatbuffer.parse((files / "cnn.tflite").read_bytes())
    tensor = max(
        (t for t in tree.subgraphs[0].tensors if flatbuffer.constant(tree, t) is not None),
        key=lambda t: flatbuffer.constant(tree, t).size,
    )
    values = flatbuffer.constant(tree, tensor).copy()
    values[0] = 1e6
    tree.buffers[tensor.buffer].data = values.view(np.uint8)
    made = flatbuffer.parse(quantise(flatbuffer.pack(tree), "tflite", "fp16", None))
    (after,) = (t for t in made.subgraphs[0].tensors if t.name == tensor.name)
    assert np.array_equal(flatbuffer.constant(made, after), values)


def test_loads_no_framework(files):
    script = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from toolkit.export.quantise import quantise\n"
        "x = {'image': np.random.default_rng(0).random((20, 16, 16, 1), np.float32)}\n"
        "quantise(Path(sys.argv[1]).read_bytes(), 'tflite', 'int8', x)\n"
        "print([name for name in ('tensorflow', 'torch', 'jax', 'keras') if name in sys.modules])"
    )
    asked = [sys.executable, "-c", script, str(files / "cnn.tflite")]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_damaged_file():
    with pytest.raises(ConversionError, match="not a TFLite model"):
        quantise(b"nothing", "tflite", "fp16", None)
