"""Models and versions for tests: fakes that implement the real interface, and small real files."""

import threading
import time

import numpy as np

from edge.manifest import Manifest
from edge.model import Model
from edge.tensor import Tensor
from toolkit.serve.version import Proof, Version

BAD = -1.0  # a sample on which the fake fails


class Fake(Model):
    """y = 2x, and nothing of the kind for a batch that holds BAD.

    calls    shape and dtype of what it was run on
    seconds  that a call takes
    """

    def __init__(self, batch=None, seconds=0.0, dtype="float32", outputs=("y",)):
        tensor = Tensor("x", (batch, None), dtype)
        outs = [Tensor(name, (batch, None), dtype) for name in outputs]
        super().__init__("/secret/fake.onnx", "fake 1", [tensor], outs, None)
        self.calls, self.seconds = [], seconds
        self.lock = threading.Lock()

    def _run(self, inputs):
        assert self.lock.acquire(blocking=False), "two calls at a time"
        try:
            (x,) = inputs
            self.calls.append((x.shape, x.dtype.name))
            if self.seconds:
                time.sleep(self.seconds)
            if (x == BAD).any():
                raise ValueError("the fake met a bad sample")
            return self.answer(x)
        finally:
            self.lock.release()

    def answer(self, x):
        return [x * 2 for _ in self.outputs]


class Summed(Fake):
    """Its output has no row a sample."""

    def answer(self, x):
        return [np.asarray(x.sum(), np.float32)]


def version_of(model, **attributes):
    version = Version("fake", 1, model, Proof(verified=True))
    for name, value in attributes.items():
        setattr(version, name, value)
    return version


def describe(**changes):
    """The manifest of y = 2x."""
    fields = {
        "name": "double",
        "framework": "torch",
        "target": "onnx",
        "precision": "fp32",
        "inputs": (Tensor("value", (None, 1), "float32"),),
        "outputs": (Tensor("twice", (None, 1), "float32"),),
    }
    return Manifest(**{**fields, **changes})


def double_onnx(path, batch="n", factor=2.0, manifest=None):
    """Write an .onnx file of y = factor x; gives its path."""
    import onnx
    from onnx import TensorProto, helper

    from edge.manifest import ONNX_KEY

    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 1])
        for name in ("value", "twice")
    )
    two = helper.make_tensor("factor", TensorProto.FLOAT, [], [factor])
    node = helper.make_node("Mul", ["value", "factor"], ["twice"])
    graph = helper.make_graph([node], "double", [x], [y], [two])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if manifest:
        helper.set_model_props(model, {ONNX_KEY: manifest.to_json()})
    onnx.save(model, path)
    return path


KEYS_SEED = 1


def signer(seed=KEYS_SEED):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.signer import CryptoSigner

    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def write_keys(path):
    """A file that trusts the usual signer; gives its path."""
    from edge.trust import TrustedKey, TrustStore

    public = bytes.fromhex(signer().public_key.keyval["public"])
    path.write_text(TrustStore.of(TrustedKey(public)).to_json())
    return path


def bundle(path, factor=2.0, golden=None, *, seed=KEYS_SEED, batch=None, content=None, **changes):
    """Write a bundle of y = factor x whose golden vectors say y = golden x; gives its path.

    seed: of the signer; None signs nothing. batch: that the file fixes. content: of the model file.
    """
    from edge.bundle_entries import Tolerance
    from toolkit.bundle.build import BundleParts, ModelPart, build

    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (batch, 1)
    manifest = describe(
        inputs=(Tensor("value", shape, "float32"),), outputs=(Tensor("twice", shape, "float32"),)
    )
    if content is None:
        part = double_onnx(path.with_suffix(".part"), batch or "n", factor, manifest)
        content = part.read_bytes()
        part.unlink()
    values = np.array([[1], [2], [-3], [4], [5.5]], np.float32)
    expected = values * np.float32(factor if golden is None else golden)
    parts = {
        "name": "double",
        "version": "1.2.0",
        "created": 1,
        "models": (ModelPart("double.onnx", content, manifest, Tolerance(1e-7, 1e-4, None)),),
        "runtime": b"none",
        "golden": {"inputs.value": values, "outputs.twice": expected},
        "verified": True,
        "verification": {"checks": [{"file": "double.onnx", "passed": True}]},
    }
    if changes.pop("golden_off", False):
        parts |= {"golden": None, "models": (ModelPart("double.onnx", content, manifest),)}
    signers = [] if seed is None else [signer(seed)]
    temporary = path.with_suffix(".new")
    temporary.write_bytes(build(BundleParts(**{**parts, **changes}), signers))
    temporary.rename(path)
    return path
