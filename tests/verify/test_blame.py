"""Blame on real files of small networks with planted faults: the right part and layer are named."""

import hashlib
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge.manifest_tflite import append_to_tflite, read_from_tflite
from toolkit.artifacts import Check, Export
from toolkit.card import Card
from toolkit.export import quantise_flatbuffer as flatbuffer
from toolkit.export.convert import convert
from toolkit.export.job import ExportJob
from toolkit.export.manifests import manifest_of
from toolkit.export.quantise import quantise
from toolkit.export.request import Request
from toolkit.hosts import ChildProcesses
from toolkit.models.adopt import Given, adopt
from toolkit.models.source import read
from toolkit.verify.blame import explain
from toolkit.verify.layers import first_bad, layer_errors
from toolkit.verify.layers_file import Asked, record

SAMPLES = np.random.default_rng(7).normal(size=(128, 8, 8, 4)).astype(np.float32)

TORCH = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(True))
        self.left = nn.Conv2d(6, 6, 3, padding=1)
        self.right = nn.Conv2d(6, 6, 1)
        self.head = nn.Linear(6 * 64, 5)

    def forward(self, x):
        x = self.stem(x.permute(0, 3, 1, 2))
        x = torch.relu(self.left(x)) + self.right(x)
        return self.head(x.flatten(1))

def net():
    torch.manual_seed(0)
    return Net()
"""

KERAS = """
import sys, keras
from keras import layers
keras.utils.set_random_seed(0)
x = inputs = keras.Input((8, 8, 4), name="x")
x = layers.Conv2D(6, 3, padding="same", name="stem", bias_initializer="normal")(x)
x = layers.ReLU()(layers.BatchNormalization()(x))
left = layers.Conv2D(6, 3, padding="same", activation="relu", name="left")(x)
x = layers.Add()([left, layers.Conv2D(6, 1, name="right")(x)])
x = layers.Dense(7, activation="relu", name="hidden", bias_initializer="normal")(x)
outputs = layers.Dense(5, name="head", bias_initializer="normal")(layers.Flatten()(x))
keras.Model(inputs, outputs).save(sys.argv[1])
"""


def made(folder, model, framework, target):
    """An adopted run with one fp32 file."""
    with ChildProcesses(1) as children:
        run = adopt(folder / "runs", model, Card("net", input_name="x"), GIVEN, children)
        job = ExportJob(model, target, manifest_of(run, framework, target, Request(), None))
        content = children.submit(convert, job, log=run.log("convert")).result().files[""]
    put(run, framework, target, "fp32", content)
    return run, content


GIVEN = Given({"x": SAMPLES})


@pytest.fixture(scope="module")
def torch_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torch")
    (folder / "net.py").write_text(TORCH)
    return made(folder, read(f"{folder / 'net.py'}:net"), "torch", "onnx")


@pytest.fixture(scope="module")
def keras_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras")
    path = folder / "net.keras"
    subprocess.run([sys.executable, "-c", KERAS, path], check=True, capture_output=True)
    return made(folder, read(str(path)), "tf", "tflite")


def put(run, framework, target, precision, content, name="net"):
    digest = hashlib.sha256(content).hexdigest()
    file = f"exports/{name}-{framework}-{precision}.{target}"
    run.write(file, content)
    export = Export(file, framework, target, precision, None, len(content), digest, 0.1)
    run.add_exports([export])
    return export


def asked_why(run, export, passed=False):
    check = Check(
        export.file, export.framework, export.target, "onnxruntime", None, 0.5, 0.0, passed, "bad"
    )
    with ChildProcesses(1) as children:
        return explain(run, export, check, children)


def edited(content, name, change):
    """An ONNX file with one of its constants changed; the exporter may prefix its name."""
    model = onnx.load_from_string(content)
    (tensor,) = [t for t in model.graph.initializer if f".{t.name}".endswith(f".{name}")]
    values = numpy_helper.to_array(tensor)
    changed = np.ascontiguousarray(change(values)).astype(values.dtype)
    tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("constant", "change", "layer"),
    [
        ("left.bias", np.zeros_like, "Conv2d 'left'"),
        ("left.weight", lambda kernel: kernel.transpose(0, 1, 3, 2), "Conv2d 'left'"),
        ("right.bias", np.zeros_like, "Conv2d 'right'"),
        ("head.bias", lambda bias: bias[::-1], "Linear 'head'"),
    ],
)
def test_a_fault_of_the_exporter_names_the_layer(torch_run, constant, change, layer):
    run, content = torch_run
    export = put(run, "torch", "onnx", "fp32", edited(content, constant, change), "broken")
    said = asked_why(run, export)
    assert said.startswith("Exporter: onnxruntime ")
    assert f"The first bad layer is {layer}:" in said


def test_a_fault_of_the_quantiser_names_the_operator(torch_run):
    run, content = torch_run
    int8 = quantise(content, "onnx", "int8", {"x": SAMPLES})
    whole = asked_why(run, put(run, "torch", "onnx", "int8", int8))
    assert "Quantiser: the fp32 file is right" in whole
    assert "No layer stands out" in whole
    broken = edited(int8, "left.weight_scale", lambda scale: scale * 8)
    said = asked_why(run, put(run, "torch", "onnx", "int8", broken))
    assert said.startswith("Quantiser: the fp32 file is right (error ")
    assert "The first bad layer is Conv 'relu_1'" in said


def test_without_an_fp32_file_that_is_said(torch_run, tmp_path):
    run, content = torch_run
    half = quantise(content, "onnx", "fp16", None)
    kept = run.facts["exports"]
    try:
        run.update(exports=[])
        said = asked_why(run, put(run, "torch", "onnx", "fp16", half))
    finally:
        run.update(exports=kept)
    assert "has no torch onnx file in fp32, so only the fp16 file was looked at" in said


def test_an_fp32_file_that_is_wrong_already_is_the_exporters(torch_run):
    run, content = torch_run
    broken = edited(content, "left.bias", lambda bias: bias + 1)
    kept = run.facts["exports"]
    try:
        put(run, "torch", "onnx", "fp32", broken)
        half = quantise(broken, "onnx", "fp16", None)
        said = asked_why(run, put(run, "torch", "onnx", "fp16", half))
    finally:
        put(run, "torch", "onnx", "fp32", content)
        run.update(exports=kept)
    assert said.startswith("Exporter: the fp32 file is wrong already")


def test_nothing_is_said_of_what_is_right_damaged_or_unknown(torch_run):
    run, content = torch_run
    good = put(run, "torch", "onnx", "fp32", content, "good")
    assert asked_why(run, good, passed=True) == ""
    assert asked_why(run, good) == ""  # its answers are right: it failed for another reason
    for damaged in (b"", b"no model", content[: len(content) // 2]):
        assert asked_why(run, put(run, "torch", "onnx", "fp32", damaged, "damaged")) == ""
    run.write(good.file, content + b"x")
    assert asked_why(run, good) == ""  # the check tells of the changed hash
    assert asked_why(run, put(run, "torch", "pt2", "fp32", b"PK")) == ""


def test_a_runtime_that_answers_alone_is_blamed(torch_run, monkeypatch):
    run, content = torch_run
    export = put(run, "torch", "onnx", "fp32", content, "good")
    from toolkit.verify import blame

    right = run.golden("torch").outputs["output"][:8]
    answers = {"one": {"output": right}, "other": {"output": right * 2}}
    monkeypatch.setattr(blame, "_runtimes", lambda case: answers)
    said = asked_why(run, export)
    assert said.startswith("Runtime: one answers like the trained model (error 0.0e+00), other")


def in_tflite(content, position, change):
    """A TFLite file with an operator changed, given its input tensors, its output and buffers."""
    manifest, tree = read_from_tflite(content), flatbuffer.parse(content)
    graph = tree.subgraphs[0]
    named = [(n, o) for n, o in flatbuffer.operators(tree, graph) if n in ("CONV_2D",)]
    operator = named[position][1]
    tensors = [graph.tensors[i] for i in (*operator.inputs, operator.outputs[0])]
    change(tree, tensors)
    return append_to_tflite(flatbuffer.pack(tree), manifest)


def scale_of(place, factor):
    def change(tree, tensors):
        tensors[place].quantization.scale = np.array(tensors[place].quantization.scale) * factor

    return change


@pytest.mark.parametrize(("place", "factor"), [(1, 8), (-1, 1 / 30)])
def test_a_wrong_scale_in_tflite_is_found(keras_run, place, factor):
    run, content = keras_run
    golden = run.golden("tf")
    asked = Asked(golden.inputs, {"x": 0}, golden.outputs)
    int8 = quantise(content, "tflite", "int8", {"x": SAMPLES})
    original = record(content, "tflite", asked)
    assert first_bad(layer_errors(original, record(int8, "tflite", asked))) is None
    broken = in_tflite(int8, 1, scale_of(place, factor))
    bad = first_bad(layer_errors(original, record(broken, "tflite", asked)))
    assert bad.operator == "CONV_2D"
    assert "left" in bad.name
    assert bad.error > 0.5 > 10 * bad.before


@pytest.mark.soak
@pytest.mark.parametrize(("position", "layer"), [(1, "Conv2D 'left'"), (2, "Conv2D 'right'")])
def test_a_wrong_kernel_in_tflite_names_the_keras_layer(keras_run, position, layer):
    run, content = keras_run

    def change(tree, tensors):
        kernel = tensors[1]
        values = flatbuffer.constant(tree, kernel)[..., ::-1]
        data = np.ascontiguousarray(values).tobytes()
        tree.buffers[kernel.buffer].data = np.frombuffer(data, np.uint8)

    broken = in_tflite(content, position, change)
    said = asked_why(run, put(run, "tf", "tflite", "fp32", broken, "broken"))
    assert said.startswith("Exporter: LiteRT ")
    assert "onnxruntime via tf2onnx agree" in said
    assert f"The first bad layer is {layer}:" in said
