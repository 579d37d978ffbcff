"""TFLite files of real converters, and files that are damaged."""

import json
from pathlib import Path

import pytest

from edge.manifest import Manifest
from edge.manifest_tflite import append_to_tflite
from edge.tensor import Tensor
from toolkit.errors import UsageError
from toolkit.hosts import ChildProcesses
from toolkit.inspection.graph import Value
from toolkit.inspection.inspect import inspect_file
from toolkit.inspection.report import Port
from toolkit.inspection.tflite_macs import macs

DATA = Path(__file__).parents[1] / "edge" / "data"
NETS = Path(__file__).parent / "data"


def inspect(name, content=None):
    return inspect_file(content or (DATA / name).read_bytes(), name)


def test_a_file_of_one_operator():
    found = inspect("double.tflite")
    assert found.format == "tflite"
    assert (found.inputs, found.outputs) == (
        (Port("x", "float32", (None, 1)),),
        (Port("y", "float32", (None, 1)),),
    )
    assert found.operators == {"MUL": 1}
    assert found.needs == {"schema": 3, "min_runtime_version": "1.5.0"}
    assert (found.parameters, found.constants) == (1, {"float32": 4})
    assert (found.activation_bytes, found.memory_bytes) == (8, 12)


def test_fixed_and_quantised_and_several():
    assert inspect("fixed.tflite").inputs[0].shape == (2, 1)
    quantised = inspect("int8.tflite")
    assert quantised.inputs[0].quantization == (0.007843137718737125, -1)
    assert quantised.parameters_by_dtype == {"int8": 1}
    two = inspect("two.tflite")
    assert {port.name for port in two.inputs} == {"a", "b"}
    assert {port.name for port in two.outputs} == {"total", "apart"}


def test_custom_operators_are_what_a_runtime_needs():
    found = inspect("flex.tflite")
    assert found.needs["custom_operators"] == "FlexIdentity, FlexMatrixInverse"
    assert found.operators == {"FlexIdentity": 2, "FlexMatrixInverse": 1}


def test_the_manifest_and_the_forms():
    tensors = (Tensor("x", (None, 1), "float32"),), (Tensor("y", (None, 1), "float32"),)
    manifest = Manifest(
        "double", "tf", "tflite", "fp32", *tensors,
        preprocessing={"x": [{"step": "scale", "factor": 2}]},
        labels=tuple("abcdefghijkl"), extra={"run": "r1"}, postprocessing=[{"step": "sigmoid"}],
    )  # fmt: skip
    found = inspect("d", append_to_tflite((DATA / "double.tflite").read_bytes(), manifest))
    assert found.manifest == manifest
    value = json.loads(json.dumps(found.to_json()))
    assert value["manifest"] == json.loads(manifest.to_json())
    assert value["inputs"] == [
        {"name": "x", "dtype": "float32", "shape": [None, 1], "quantization": None}
    ]
    assert value["largest"][0]["shape"] == [1, 1]
    lines = found.lines()
    assert "inputs      x float32[n, 1]" in lines
    assert "manifest    double, tf, tflite, fp32" in lines
    assert '  x         {"step": "scale", "factor": 2}' in lines
    assert "  labels    a, b, c, d, e, f, g, h, i, j and 2 more" in lines
    assert '  run  "r1"' in lines
    assert '  after     {"step": "sigmoid"}' in lines


def test_a_long_vocabulary_is_cut_off():
    tokens = [f"word{index}" for index in range(10_000)]
    step = {"step": "tokenise", "vocabulary": tokens, "length": 1, "unknown": 0, "padding": 0}
    tensors = (Tensor("x", (None, 1), "float32"),), (Tensor("y", (None, 1), "float32"),)
    manifest = Manifest("d", "tf", "tflite", "fp32", *tensors, preprocessing={"x": [step]})
    found = inspect("d", append_to_tflite((DATA / "double.tflite").read_bytes(), manifest))
    (line,) = [line for line in found.lines() if "tokenise" in line]
    assert '"word9", "... 9990 more"], "length": 1' in line


@pytest.mark.parametrize("name", ["double.tflite", "two.tflite", "int8.tflite"])
def test_every_cut_is_refused(name):
    whole = (DATA / name).read_bytes()
    for end in range(1, len(whole) - 8, 7):  # the last bytes may be padding
        with pytest.raises(UsageError, match=rf"{name} is no .tflite or .onnx model, or damaged"):
            inspect(name, whole[:end])


def test_flipped_bits_are_refused_or_read():
    whole = bytearray((DATA / "two.tflite").read_bytes())
    refused = 0
    for position in range(8, len(whole)):
        for bit in (0, 7):
            changed = whole.copy()
            changed[position] ^= 1 << bit
            try:
                inspect("two.tflite", bytes(changed))
            except UsageError:
                refused += 1
    assert refused > 100


def test_what_is_no_model_is_refused(conv_net):
    with pytest.raises(UsageError, match=r"m is empty; copy or export it again"):
        inspect_file(b"", "m")
    for content in (b"hello" * 99, b"PK\x03\x04" * 20, b"\x08\x08"):
        with pytest.raises(UsageError, match=r"m is no .tflite or .onnx model"):
            inspect_file(content, "m")
    for end in range(1, len(conv_net), 5):
        with pytest.raises(UsageError, match=r"m is no .tflite or .onnx model, or damaged"):
            inspect_file(conv_net[:end], "m")


def test_it_runs_in_a_child_process(tmp_path, conv_net):
    with ChildProcesses() as children:
        good = children.submit(inspect_file, conv_net, "m", log=tmp_path / "log")
        bad = children.submit(inspect_file, conv_net[:50], "m", log=tmp_path / "log2")
        assert good.result() == inspect_file(conv_net, "m")
        with pytest.raises(UsageError) as caught:
            bad.result()
    assert caught.value.exit_code == 2


def of(*shape):
    return Value("v", "float32", shape)


def test_work_of_each_kind_of_operator():
    image, output = of(1, 6, 6, 4), of(1, 4, 4, 8)
    assert macs("CONV_2D", [image, of(8, 3, 3, 4)], output) == 8 * 16 * 36
    assert macs("CONV_2D", [image, of(8, 3, 3, 2)], output) == 8 * 16 * 18  # two groups
    assert macs("DEPTHWISE_CONV_2D", [image, of(1, 3, 3, 8)], output) == 8 * 16 * 9
    assert macs("TRANSPOSE_CONV", [of(4), of(8, 3, 3, 4), image], None) is None
    assert macs("TRANSPOSE_CONV", [of(4), of(8, 3, 3, 4), image], of(1, 8, 8, 8)) == 144 * 72
    assert macs("CONV_3D", [of(1, 5, 6, 6, 4), of(3, 3, 3, 4, 8)], of(1, 3, 4, 4, 8)) == 384 * 108
    assert macs("FULLY_CONNECTED", [of(2, 7), of(5, 7)], of(2, 5)) == 70
    assert macs("BATCH_MATMUL", [of(2, 3, 4), of(2, 4, 5)], of(2, 3, 5)) == 120
    assert macs("BATCH_MATMUL", [of(2, 4, 3), of(2, 4, 5)], of(2, 3, 5), adjoint=True) == 120
    gates = [of(5, 3)] * 4 + [of(5, 5)] * 4
    lstm = [of(1, 7, 3), *gates, *[None] * 7, None]
    assert macs("UNIDIRECTIONAL_SEQUENCE_LSTM", lstm, of(1, 7, 5)) == 7 * 4 * 5 * 8
    assert macs("RNN", [of(2, 3), of(5, 3), of(5, 5)], of(2, 5)) == 2 * 5 * 8
    assert macs("ADD", [image, image], image) == 0
    assert macs("FULLY_CONNECTED", [of(2, 7), None], of(2, 5)) is None


def real(name):
    return inspect_file((NETS / f"{name}.tflite").read_bytes(), name)


@pytest.mark.parametrize("name", ["net", "net-int8"])
def test_a_real_convolutional_network(name):
    found = real(name)
    assert found.inputs[0].shape == (None, 4, 4, 1)
    assert found.parameters == 9 * 4 + 4 + 64 * 3 + 3  # the same at every precision
    assert found.macs == 9 * 4 * 16 + 64 * 3
    assert found.uncounted == 0


def test_a_real_lstm_and_a_loop():
    lstm = real("lstm")
    assert lstm.operators["WHILE"] == 1
    assert lstm.macs == 7 * 4 * 5 * (3 + 5)
    assert lstm.parameters == 4 * 5 * (3 + 5 + 1) + 5  # and a state of zeros
    loop = real("loop")
    assert loop.operators["WHILE"] == 1
    assert loop.macs == 16  # its condition has no counter: once
    assert loop.operators["FULLY_CONNECTED"] == 1
