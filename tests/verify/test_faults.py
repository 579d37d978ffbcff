"""No false pass and no false failure: real files with one planted fault each, and sound ones.

The reference is always the sound net as an ONNX file in fp32; a candidate is of any target and
precision. Faults are changes of the net's numbers, made before it is converted and quantised.
"""

import functools
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge.manifest import ONNX_KEY
from edge.manifest_tflite import append_to_tflite
from tests.verify import nets
from tests.verify.pairs import compared, source
from toolkit.export.quantise import quantise

NETS = {"classifier": nets.classifier(), "detector": nets.detector()}
CELLS = [
    (target, precision)
    for target in ("onnx", "tflite")
    for precision in ("fp32", "fp16", "dynamic", "int8", "int8-float", "16x8")
    if (target, precision) != ("onnx", "16x8")
]
WRONG_STEPS = {"x": [{"step": "scale", "factor": 1 / 255}]}


def versions(net):
    """The sound net, and the net with each fault."""
    return nets.planted(net) | {
        "dropped inner bias": replace(net, bias=0 * net.bias),
        "other scale": replace(net, last=net.last / 255, last_bias=net.last_bias / 255),
    }


def faults(kind):
    """All but the sound one; that classes share a scale is none: they have the same range."""
    known = [fault for fault in versions(NETS[kind]) if fault != "sound"]
    return known if kind == "detector" else [fault for fault in known if fault != "shared scale"]


@functools.cache
def file(target, precision, kind, fault="sound"):
    net = versions(NETS[kind])[fault]
    content = nets.to_onnx(net) if target == "onnx" else nets.to_tflite(net)
    return content if precision == "fp32" else quantised(content, target, precision)


def quantised(content, target, precision):
    static = precision in ("int8", "int8-float", "16x8")
    return quantise(content, target, precision, {"x": nets.SAMPLES} if static else None)


def against_sound(content, target, kind):
    """Compare a file with the sound net."""
    reference = source(file("onnx", "fp32", kind), "onnx")
    return compared(reference, source(content, target), {"x": nets.samples(seed=5)})


@pytest.mark.parametrize(
    ("kind", "fault"), [(kind, fault) for kind in NETS for fault in faults(kind)]
)
@pytest.mark.parametrize(("target", "precision"), CELLS)
def test_a_fault_never_passes(target, precision, kind, fault):
    result = against_sound(file(target, precision, kind, fault), target, kind)
    assert result.precision == precision
    assert not result.passed, result.lines()
    assert not result.manifests  # it fails by its numbers


@pytest.mark.parametrize(
    ("target", "precision", "kind"),
    [
        (*cell, kind)
        for cell in CELLS
        for kind in NETS
        if (kind, cell[1]) != ("detector", "int8")  # unsound by nature: see the next test
    ],
)
def test_a_sound_file_never_fails(target, precision, kind):
    result = against_sound(file(target, precision, kind), target, kind)
    assert result.passed, result.lines()
    assert result.comparison.snr > 20


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_boxes_and_a_score_in_one_tensor_do_not_survive_static_int8(target):
    result = against_sound(file(target, "int8", "detector"), target, "detector")
    (reason,) = result.reasons
    assert "column 4 of axis 1" in reason
    assert "share its scale" in reason
    assert result.comparison.kept >= 0.95  # by the range of the whole, all is well


@pytest.mark.parametrize(("target", "precision"), CELLS)
@pytest.mark.parametrize("fault", ["labels", "preprocessing"])
def test_a_manifest_that_means_something_else_never_passes(target, precision, fault):
    told = nets.manifest(NETS["classifier"], target)
    if fault == "labels":  # off by one
        told = replace(told, labels=nets.LABELS[1:] + nets.LABELS[:1])
    else:
        told = replace(told, preprocessing=WRONG_STEPS)
    content = with_manifest(file(target, "fp32", "classifier"), target, told)
    if precision != "fp32":
        content = quantised(content, target, precision)
    result = against_sound(content, target, "classifier")
    (reason,) = result.reasons
    assert reason.startswith(f"{fault}: A has ")
    assert result.comparison.snr > 20  # the numbers are right


def with_manifest(content, target, manifest):
    if target == "tflite":
        return append_to_tflite(content, manifest)
    model = onnx.load_from_string(content)
    (entry,) = [entry for entry in model.metadata_props if entry.key == ONNX_KEY]
    entry.value = manifest.to_json()
    return model.SerializeToString()


@pytest.mark.parametrize("unit", [1e15, 1e-14])
@pytest.mark.parametrize("precision", ["fp32", "dynamic", "int8-float"])
@pytest.mark.parametrize("kind", NETS)
def test_the_unit_of_outputs_does_not_matter(precision, kind, unit):
    def content(net):
        scale = np.float32(unit)
        return nets.to_onnx(replace(net, last=net.last * scale, last_bias=net.last_bias * scale))

    def candidate(net):
        made = content(net)
        return source(made if precision == "fp32" else quantised(made, "onnx", precision), "onnx")

    net, inputs = NETS[kind], {"x": nets.samples(seed=5)}
    reference = source(content(net), "onnx")
    sound = compared(reference, candidate(net), inputs)
    assert sound.passed, sound.lines()
    for fault in ("dropped bias", "permuted outputs", "other weights"):
        wrong = compared(reference, candidate(versions(net)[fault]), inputs)
        assert not wrong.passed, fault


def sum_and_difference(names):
    """ONNX of total = a + b and apart = b - a, its outputs called by `names`."""

    def value(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2])

    nodes = [
        helper.make_node("Add", ["a", "b"], [names[0]]),
        helper.make_node("Sub", ["b", "a"], [names[1]]),
    ]
    graph = helper.make_graph(nodes, "g", [value("a"), value("b")], [value(n) for n in names])
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


@pytest.mark.parametrize("names", [("total", "apart"), ("apart", "total")])
@pytest.mark.parametrize("reference", ["onnx", "tflite"])
def test_outputs_of_the_same_shape_that_swapped_names_never_pass(reference, names, pytestconfig):
    if reference == "onnx":
        right = source(sum_and_difference(("total", "apart")), "onnx")
    else:
        path = pytestconfig.rootpath / "tests" / "edge" / "data" / "two.tflite"
        right = source(path.read_bytes(), "tflite")
    result = compared(right, source(sum_and_difference(names), "onnx"))
    assert result.made_up
    assert result.passed is (names == ("total", "apart"))
    assert {place.output for place in result.places} == (set() if result.passed else set(names))
