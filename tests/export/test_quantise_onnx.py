"""ONNX files in other precisions, run by onnxruntime and held against the fp32 file."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.manifest import ONNX_KEY, Manifest
from edge.runtime import load
from edge.tensor import Tensor
from toolkit.errors import ConversionError, UsageError
from toolkit.export.quantise import quantise

STATIC = ("int8", "int8-float")
ALL = ("fp16", "dynamic", *STATIC)
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64

CNN = (Tensor("image", (None, 1, 16, 16), "float32"),), (Tensor("logits", (None, 10), "float32"),)
TWO = (
    (Tensor("ids", (None, 6), "int64"), Tensor("rows", (None, 24), "float32")),
    (
        Tensor("big", (None, 1), "float32"),
        Tensor("small", (None, 4), "float32"),
        Tensor("both", (None, 5), "float32"),
    ),
)
RNN = (Tensor("rows", (None, 12, 24), "float32"),), (Tensor("y", (None, 48), "float32"),)


class Graph:
    """Collects nodes and weights of a small model."""

    def __init__(self, tensors):
        self.tensors, self.nodes, self.weights = tensors, [], []
        self.random = np.random.default_rng(3)

    def add(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def weight(self, name, *shape, scale=None):
        values = self.random.normal(size=shape) * (scale or np.sqrt(2 / np.prod(shape[1:])))
        return self.constant(name, values.astype(np.float32))

    def constant(self, name, values):
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def model(self, opset=17, manifest=True):
        kinds = {"float32": FLOAT, "int64": INT64}
        inputs, outputs = (
            [helper.make_tensor_value_info(t.name, kinds[t.dtype], ["n", *t.shape[1:]]) for t in s]
            for s in self.tensors
        )
        graph = helper.make_graph(self.nodes, "graph", inputs, outputs, self.weights)
        opsets = [helper.make_opsetid("", opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        if manifest:
            text = Manifest("job", "torch", "onnx", "fp32", *self.tensors).to_json()
            helper.set_model_props(model, {"author": "somebody", ONNX_KEY: text})
        onnx.checker.check_model(model, full_check=True)
        return model


def cnn(opset=17, manifest=True):
    """Convolution, depthwise convolution with channels of very different size, dense."""
    g = Graph(CNN)
    g.add("Conv", ["image", g.weight("w1", 16, 1, 3, 3)], "c1")
    g.add("Relu", ["c1"], "r1")
    depthwise = g.random.normal(size=(16, 1, 5, 5)) * np.logspace(-2, 1, 16)[:, None, None, None]
    g.add("Conv", ["r1", g.constant("w2", depthwise.astype(np.float32))], "c2", group=16)
    norm = [g.constant(n, np.linspace(0.2, 3, 16, dtype=np.float32)) for n in "abcd"]
    g.add("BatchNormalization", ["c2", *norm], "n2")
    g.add("Relu", ["n2"], "r2")
    g.add("Conv", ["r2", g.weight("w3", 32, 16, 3, 3)], "c3")
    g.add("GlobalAveragePool", ["c3"], "pooled")
    g.add("Flatten", ["pooled"], "flat")
    g.add("Gemm", ["flat", g.weight("w4", 32, 10), g.weight("b4", 10)], "logits")
    return g.model(opset, manifest)


def two():
    """Integers and floats in; outputs in thousands, in ones, and both joined."""
    g = Graph(TWO)
    g.add("Gather", [g.weight("table", 300, 32, scale=1), "ids"], "embedded")
    g.add("ReduceMean", ["embedded"], "mean", axes=[1], keepdims=0)
    g.add("Concat", ["mean", "rows"], "joined", axis=1)
    g.add("MatMul", ["joined", g.weight("w1", 56, 64)], "m1")
    g.add("Relu", ["m1"], "hidden")
    g.add("Gemm", ["hidden", g.weight("w2", 64, 1, scale=2000.0)], "big")
    g.add("Gemm", ["hidden", g.weight("w3", 64, 4, scale=0.1)], "small")
    g.add("Concat", ["big", "small"], "both", axis=1)
    return g.model()


def rnn(kind):
    gates = {"LSTM": 4, "GRU": 3}[kind]
    g = Graph(RNN)
    g.add("Transpose", ["rows"], "time", perm=[1, 0, 2])
    sizes = {"W": 24, "R": 48}
    weights = [g.weight(name, 1, gates * 48, size, scale=0.1) for name, size in sizes.items()]
    g.nodes.append(helper.make_node(kind, ["time", *weights], ["", "last"], hidden_size=48))
    g.add("Squeeze", ["last", g.constant("axis", np.array([0]))], "y")
    return g.model()


MODELS = {"cnn": cnn, "two": two, "lstm": lambda: rnn("LSTM"), "gru": lambda: rnn("GRU")}


def samples(name, count=64, seed=0):
    random = np.random.default_rng(seed)
    if name == "cnn":
        return {"image": random.random((count, 1, 16, 16), np.float32)}
    if name == "two":
        rows = random.normal(size=(count, 24)).astype(np.float32)
        return {"ids": random.integers(0, 300, (count, 6)), "rows": rows}
    return {"rows": random.normal(size=(count, 12, 24)).astype(np.float32)}


def answers(content: bytes, path: Path, inputs):
    path.write_bytes(content)
    return load(path).predict(inputs)


def snr(expected, got) -> float:
    """Signal to noise, in decibels."""
    return float(10 * np.log10((expected**2).mean() / ((expected - got) ** 2).mean()))


def properties(content: bytes):
    return {e.key: e.value for e in onnx.load_from_string(content).metadata_props}


@pytest.fixture(scope="module", params=list(MODELS))
def model(request):
    return request.param, MODELS[request.param]().SerializeToString()


@pytest.mark.parametrize("precision", ALL)
def test_file_answers_like_fp32(model, tmp_path, precision):
    name, content = model
    made = quantise(content, "onnx", precision, samples(name) if precision in STATIC else None)
    inputs = samples(name, 32, seed=1)
    expected = answers(content, tmp_path / "a.onnx", inputs)
    got = answers(made, tmp_path / "b.onnx", inputs)
    shared = name == "two" and precision == "int8"  # see the test of shared ranges
    judged = ["big"] if shared else list(expected)
    worst = min(snr(expected[output], got[output]) for output in judged)
    assert worst > (50 if precision == "fp16" else 24)
    assert len(made) < len(content) * (0.62 if precision == "fp16" else 0.5)


@pytest.mark.parametrize("precision", ALL)
def test_manifest_properties_and_opset_are_kept(precision):
    content = cnn().SerializeToString()
    made = quantise(content, "onnx", precision, samples("cnn") if precision in STATIC else None)
    kept = properties(made)
    manifest = Manifest.from_json(kept.pop(ONNX_KEY))
    assert (manifest.inputs, manifest.outputs) == CNN
    assert manifest.precision == precision
    assert kept == {"author": "somebody"}
    assert {e.version for e in onnx.load_from_string(made).opset_import if e.domain == ""} == {17}


@pytest.mark.parametrize("precision", ALL)
def test_names_of_inner_tensors_are_kept(precision):
    content = cnn().SerializeToString()
    made = quantise(content, "onnx", precision, samples("cnn") if precision in STATIC else None)
    after = {name for node in onnx.load_from_string(made).graph.node for name in node.output}
    # a batch norm becomes part of its convolution, as does Relu
    assert {"r1", "r2", "c3", "pooled", "flat", "logits"} <= after


@pytest.mark.parametrize("precision", ALL)
def test_same_input_gives_the_same_bytes(model, precision):
    name, content = model
    calibration = samples(name) if precision in STATIC else None
    first, second = (quantise(content, "onnx", precision, calibration) for _ in range(2))
    assert first == second


def test_integers_in_and_out_and_their_scales(tmp_path):
    content = two().SerializeToString()
    made = quantise(content, "onnx", "int8", samples("two"), "int8")
    manifest = Manifest.from_json(properties(made)[ONNX_KEY])
    ids, rows = manifest.inputs
    assert ids == TWO[0][0]
    assert (rows.dtype, rows.shape) == ("float32", (None, 24))
    low, high = (rows.quantization[0] * (q - rows.quantization[1]) for q in (0, 255))
    calibrated = samples("two")["rows"]
    assert (low, high) == pytest.approx((calibrated.min(), calibrated.max()), abs=0.05)
    graph = onnx.load_from_string(made).graph
    types = {
        value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)
    }
    assert types["ids"] == INT64
    assert types["rows"] == types["both"] == TensorProto.UINT8
    inputs = samples("two", 32, seed=1)
    expected = answers(content, tmp_path / "a.onnx", inputs)
    got = answers(made, tmp_path / "b.onnx", inputs)  # floats: edge converts
    assert snr(expected["both"], got["both"]) > 24


def test_float_outputs_spare_values_that_share_a_range(tmp_path):
    """'both' joins thousands and ones: one scale for all of them leaves nothing of the ones."""
    content = two().SerializeToString()
    inputs = samples("two", 32, seed=1)
    expected = answers(content, tmp_path / "a.onnx", inputs)["both"][:, 1:]
    found = {}
    for precision in STATIC:
        made = quantise(content, "onnx", precision, samples("two"))
        found[precision] = snr(expected, answers(made, tmp_path / "b.onnx", inputs)["both"][:, 1:])
    assert found["int8"] < 6
    assert found["int8-float"] > 24


def test_dynamic_never_computes_a_convolution_in_integers():
    made = onnx.load_from_string(quantise(cnn().SerializeToString(), "onnx", "dynamic", None))
    kinds = Counter(node.op_type for node in made.graph.node)
    assert kinds["Conv"] == 3
    assert kinds["MatMulInteger"] == 1
    assert not kinds["ConvInteger"]


def test_traces_of_the_exporter_are_left_behind():
    model = cnn()
    for node in model.graph.node:
        entry = node.metadata_props.add()
        entry.key, entry.value = "pkg.torch.onnx.stack_trace", "File secret.py"
    content = model.SerializeToString()
    for precision in ("fp16", "dynamic"):
        assert b"secret.py" not in quantise(content, "onnx", precision, None)


def test_old_opset_is_raised_and_a_missing_manifest_stays_missing(tmp_path):
    content = cnn(opset=11, manifest=False).SerializeToString()
    made = quantise(content, "onnx", "int8", samples("cnn"))
    assert properties(made) == {}
    assert onnx.load_from_string(made).opset_import[0].version == 13
    inputs = samples("cnn", 32, seed=1)
    expected = answers(content, tmp_path / "a.onnx", inputs)["logits"]
    assert snr(expected, answers(made, tmp_path / "b.onnx", inputs)["logits"]) > 24


@pytest.mark.parametrize(
    ("precision", "io", "calibration", "words"),
    [
        ("16x8", "float", samples("cnn"), "exists for TFLite only"),
        ("int4", "float", None, "'int4' is not one of fp16, dynamic, int8, int8-float"),
        ("fp16", "int8", None, "has float inputs and outputs"),
        ("int8", "uint8", samples("cnn"), "neither 'float' nor 'int8'"),
        ("int8", "float", None, "needs calibration samples"),
        ("int8", "float", samples("lstm"), "the file's inputs are image"),
        ("int8", "float", {"image": np.zeros((9, 1, 8, 8))}, r"'image' is \[9, 1, 8, 8\]"),
    ],
)
def test_what_cannot_be_asked_for(precision, io, calibration, words):
    with pytest.raises(UsageError, match=words):
        quantise(cnn().SerializeToString(), "onnx", precision, calibration, io)


@pytest.mark.parametrize("content", [b"", b"not a model", cnn().SerializeToString()[:-200]])
def test_damaged_file(content):
    with pytest.raises(ConversionError, match="not a usable ONNX model"):
        quantise(content, "onnx", "fp16", None)


def test_loads_no_framework():
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_quantise_onnx as t\n"
        "for p in t.ALL: t.quantise(t.cnn().SerializeToString(), 'onnx', p, t.samples('cnn'))\n"
        "print([name for name in ('tensorflow', 'torch', 'jax', 'keras') if name in sys.modules])"
    )
    asked = [sys.executable, "-c", script, str(Path(__file__).parent)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
