"""Small real bundles for the page: digits, pictures, numbers, texts, and two inputs unproven."""

import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.datasets import load_digits

from edge.bundle_entries import Tolerance
from edge.manifest import ONNX_KEY, Manifest
from edge.tensor import Tensor
from tests.bundle.conftest import signer, zip_of
from toolkit.bundle.build import BundleParts, ModelPart, build

HARMFUL = "<img src=x onerror=document.title='hit'>"
"""A name that would run if a page took it for HTML."""

WORDS = ["", "[UNK]", "good", "bad", "great", "awful"]
_KINDS = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}


def digits(folder):
    """Least squares on 8 x 8 pixels of 0 to 16: right for about nine of ten."""
    images, targets = load_digits(return_X_y=True)
    scaled = np.hstack([images / 16, np.ones((len(images), 1))])
    weights, *_ = np.linalg.lstsq(scaled, np.eye(10)[targets], rcond=None)
    weights = weights.astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
    ]
    manifest = Manifest(
        name="digits",
        framework="torch",
        target="onnx",
        precision="fp32",
        inputs=(Tensor("image", (None, 8, 8, 1), "float32"),),
        outputs=(Tensor("logits", (None, 10), "float32"),),
        preprocessing={"image": [{"step": "scale", "factor": 1 / 16}]},
        decision="argmax",
        labels=tuple(str(digit) for digit in range(10)),
    )
    golden = {
        "inputs.image": images[:8].reshape(-1, 8, 8, 1).astype(np.float32),
        "outputs.logits": (scaled[:8] @ weights).astype(np.float32),
    }
    content = _onnx(nodes, manifest, {"weights": weights[:-1], "bias": weights[-1]})
    return _write(folder, manifest, content, golden)


def double(folder, **changes):
    """y = 2x; `changes` of the bundle's parts."""
    manifest = Manifest(
        name="double",
        framework="tensorflow",
        target="onnx",
        precision="fp32",
        inputs=(Tensor("value", (None, 1), "float32"),),
        outputs=(Tensor("twice", (None, 1), "float32"),),
        decision="value",
    )
    nodes = [helper.make_node("Mul", ["value", "two"], ["twice"])]
    values = np.array([[1.5], [2], [-3], [4]], np.float32)
    golden = {"inputs.value": values, "outputs.twice": 2 * values}
    content = _onnx(nodes, manifest, {"two": np.array(2, np.float32)})
    return _write(folder, manifest, content, golden, **changes)


def moods(folder):
    """Adds up what each word weighs; a label holds HTML."""
    weights = np.array([0, 0, 1, -1, 2, -2], np.float32)
    step = {"step": "tokenise", "vocabulary": WORDS, "length": 8, "unknown": 1, "padding": 0}
    manifest = Manifest(
        name="moods",
        framework="torch",
        target="onnx",
        precision="fp32",
        inputs=(Tensor("text", (None, 8), "int32"),),
        outputs=(Tensor("mood", (None, 1), "float32"),),
        preprocessing={"text": [step | {"lower": True}]},
        decision="sign",
        labels=("sad", HARMFUL),
    )
    nodes = [
        helper.make_node("Gather", ["weights", "text"], ["each"]),
        helper.make_node("ReduceSum", ["each", "axes"], ["mood"], keepdims=1),
    ]
    golden = {
        "inputs.text": np.array(["a great day", "awful"]),
        "outputs.mood": np.array([[2], [-2]], np.float32),
    }
    held = {"weights": weights, "axes": np.array([1], np.int64)}
    return _write(folder, manifest, _onnx(nodes, manifest, held), golden)


def unproven(folder):
    """An ONNX file of two inputs that says nothing about itself."""
    manifest = Manifest(
        name="sum",
        framework="torch",
        target="onnx",
        precision="fp32",
        inputs=tuple(Tensor(name, (None, 2), "float32") for name in "ab"),
        outputs=(Tensor("total", (None, 2), "float32"),),
    )
    path = folder / "sum.onnx"
    nodes = [helper.make_node("Add", ["a", "b"], ["total"])]
    path.write_bytes(_onnx(nodes, manifest, {}, described=False))
    return path


def colours(folder, *, name="colours", resized=False):
    """The strongest of red, green and blue; 16 x 16 pixels, or pictures of any size."""
    steps = [{"step": "scale", "factor": 1 / 255}]
    if resized:
        steps.insert(0, {"step": "resize", "size": [16, 16]})
    manifest = Manifest(
        name=name,
        framework="torch",
        target="onnx",
        precision="fp32",
        inputs=(Tensor("picture", (None, 16, 16, 3), "float32"),),
        outputs=(Tensor("share", (None, 3), "float32"),),
        preprocessing={"picture": steps},
        decision="argmax",
        labels=("red", "green", "blue"),
    )
    nodes = [helper.make_node("ReduceMean", ["picture"], ["share"], axes=[1, 2], keepdims=0)]
    red = np.zeros((2, 16, 16, 3), np.uint8)
    red[..., 0] = 250
    golden = {"inputs.picture": red, "outputs.share": np.array([[250 / 255, 0, 0]] * 2, np.float32)}
    return _write(folder, manifest, _onnx(nodes, manifest, {}), golden)


def _onnx(nodes, manifest, held, *, described=True):
    inputs, outputs = (
        [helper.make_tensor_value_info(t.name, _KINDS[t.dtype], ["n", *t.shape[1:]]) for t in side]
        for side in (manifest.inputs, manifest.outputs)
    )
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in held.items()]
    graph = helper.make_graph(nodes, manifest.name, inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if described:
        helper.set_model_props(model, {ONNX_KEY: manifest.to_json()})
    return model.SerializeToString()


def _write(folder, manifest, content, golden, **changes):
    member = f"{manifest.name}-fp32.onnx"
    checked = {"file": f"exports/{member}", "runtime": "onnxruntime 1.23.2", "passed": True}
    checked |= {"error": 3.1e-7, "kept": 1.0, "metric": 0.9417, "drop": 0.0, "samples": 360}
    parts = {
        "name": manifest.name,
        "version": "1.2.0",
        "created": 1_700_000_000,
        "models": (ModelPart(member, content, manifest, Tolerance(1e-6, 1e-4, 1.0)),),
        "runtime": zip_of(__main____py=""),
        "golden": golden,
        "verified": True,
        "verification": {"checks": [checked | {"reason": ""}]},
    }
    path = folder / f"{manifest.name}.edge"
    path.write_bytes(build(BundleParts(**{**parts, **changes}), [signer(1)]))
    return path
