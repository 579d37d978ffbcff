"""Tiny real models for the protocols' tests, and versions of them.

number   x float32 [n, 1]                     -> y = x / 2 + 2
two      a float32 [n, 2], b int64 [n, 1]     -> total float32 [n, 2], twice int64 [n, 1]
image    pixels uint8 [n, 4, 4, 1]            -> logits float32 [n, 3], labels
text     text: texts [n], ids int32 [n, 4]    -> sum float32 [n, 1]
flag     on bool [n, 2]                       -> y float32 [n, 2]
scalar   x float32 []                         -> y = 2 x, float32 []
free     x float32 [n, any, 2]                -> y float32 [n, any, 2]
same_D   x D [n, 3], for all dtypes D         -> y = x
"""

import numpy as np

from edge import runtime
from edge.manifest import ONNX_KEY, Manifest
from edge.tensor import DTYPES, Tensor
from toolkit.serve.version import Proof, Version

NAMES = ("number", "two", "image", "text", "flag", "scalar", "free")
LABELS = ("ant", "bee", "cat")


def versions(folder, names=(*NAMES, *(f"same_{dtype}" for dtype in DTYPES))):
    """Name -> Version of models that are written to the folder."""
    return {name: version(folder, name) for name in names}


def version(folder, name, **changes):
    """A version 1 of the model; `changes` as Version takes them."""
    return Version(name, 1, runtime.load(write(folder, name)), Proof(verified=True), **changes)


def write(folder, name, decision=None, postprocessing=()):
    """Write the model's file, and give its path."""
    import onnx

    graph, manifest = _MAKERS[name.split("_")[0]](name)
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )
    if decision and manifest:
        manifest = {**manifest, "decision": decision, "postprocessing": postprocessing}
    if manifest:
        made = Manifest(framework="torch", target="onnx", precision="fp32", name=name, **manifest)
        onnx.helper.set_model_props(model, {ONNX_KEY: made.to_json()})
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    return path


def _graph(nodes, inputs, outputs, constants=None):
    from onnx import helper, numpy_helper

    infos = [
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(d)), shape)
            for name, (d, shape) in described.items()
        ]
        for described in (inputs, outputs)
    ]
    made = [helper.make_node(op, source, out, **more) for op, source, out, more in nodes]
    values = [numpy_helper.from_array(np.array(v), name) for name, v in (constants or {}).items()]
    return helper.make_graph(made, "tiny", *infos, values)


def _number(_):
    nodes = [("Mul", ["x", "half"], ["h"], {}), ("Add", ["h", "two"], ["y"], {})]
    constants = {"half": np.float32(0.5), "two": np.float32(2)}
    both = {"x": ("float32", ["n", 1])}, {"y": ("float32", ["n", 1])}
    return _graph(nodes, *both, constants), None


def _two(_):
    nodes = [
        ("Cast", ["b"], ["f"], {"to": 1}),
        ("Add", ["a", "f"], ["total"], {}),
        ("Add", ["b", "b"], ["twice"], {}),
    ]
    inputs = {"a": ("float32", ["n", 2]), "b": ("int64", ["n", 1])}
    return _graph(
        nodes, inputs, {"total": ("float32", ["n", 2]), "twice": ("int64", ["n", 1])}
    ), None


def _image(_):
    nodes = [
        ("Cast", ["pixels"], ["f"], {"to": 1}),
        ("Flatten", ["f"], ["flat"], {}),
        ("MatMul", ["flat", "w"], ["logits"], {}),
    ]
    weights = np.linspace(-0.01, 0.01, 48, dtype=np.float32).reshape(16, 3)
    graph = _graph(
        nodes,
        {"pixels": ("uint8", ["n", 4, 4, 1])},
        {"logits": ("float32", ["n", 3])},
        {"w": weights},
    )
    return graph, {
        "inputs": (Tensor("pixels", (None, 4, 4, 1), "uint8"),),
        "outputs": (Tensor("logits", (None, 3), "float32"),),
        "decision": "argmax",
        "labels": LABELS,
    }


def _text(_):
    nodes = [
        ("Cast", ["text"], ["f"], {"to": 1}),
        ("ReduceSum", ["f", "axes"], ["sum"], {"keepdims": 1}),
    ]
    graph = _graph(
        nodes,
        {"text": ("int32", ["n", 4])},
        {"sum": ("float32", ["n", 1])},
        {"axes": np.array([1], np.int64)},
    )
    tokenise = {"step": "tokenise", "vocabulary": ["", "a", "b", "ö"], "length": 4}
    return graph, {
        "inputs": (Tensor("text", (None, 4), "int32"),),
        "outputs": (Tensor("sum", (None, 1), "float32"),),
        "decision": "sign",
        "preprocessing": {"text": [{**tokenise, "unknown": 0, "padding": 0}]},
    }


def _flag(_):
    nodes = [("Cast", ["on"], ["y"], {"to": 1})]
    return _graph(nodes, {"on": ("bool", ["n", 2])}, {"y": ("float32", ["n", 2])}), None


def _scalar(_):
    nodes = [("Add", ["x", "x"], ["y"], {})]
    return _graph(nodes, {"x": ("float32", [])}, {"y": ("float32", [])}), None


def _free(_):
    nodes = [("Identity", ["x"], ["y"], {})]
    shape = ("float32", ["n", "m", 2])
    return _graph(nodes, {"x": shape}, {"y": shape}), None


def _same(name):
    described = (name.removeprefix("same_"), ["n", 3])
    return _graph([("Identity", ["x"], ["y"], {})], {"x": described}, {"y": described}), None


_MAKERS = {
    "number": _number,
    "two": _two,
    "image": _image,
    "text": _text,
    "flag": _flag,
    "scalar": _scalar,
    "free": _free,
    "same": _same,
}
