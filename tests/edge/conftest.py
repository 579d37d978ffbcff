"""Small real model files, and a manifest that fits them."""

import shutil
from pathlib import Path

import pytest

from edge.manifest import ONNX_KEY, Manifest
from edge.manifest_tflite import append_to_tflite
from edge.tensor import Tensor

DATA = Path(__file__).parent / "data"


def describe(**changes):
    """The manifest of y = 2x, with names that the files do not use."""
    fields = {
        "name": "double",
        "framework": "torch",
        "target": "tflite",
        "precision": "fp32",
        "inputs": (Tensor("value", (None, 1), "float32"),),
        "outputs": (Tensor("twice", (None, 1), "float32"),),
    }
    return Manifest(**{**fields, **changes})


@pytest.fixture(name="describe")
def _describe():
    return describe


@pytest.fixture(scope="session")
def data():
    return DATA


@pytest.fixture
def tflite(tmp_path):
    """Make a .tflite file: tflite("double", manifest)."""

    def make(name="double", manifest=None):
        path = tmp_path / f"{name}.tflite"
        model = (DATA / f"{name}.tflite").read_bytes()
        path.write_bytes(append_to_tflite(model, manifest) if manifest else model)
        return path

    return make


@pytest.fixture
def onnx(tmp_path):
    """Make an .onnx file of y = 2x: onnx(batch="n", manifest=None, ...)."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")

    def make(batch="n", manifest=None, columns=1, domain="", opset=17):
        helper, kind = onnx.helper, onnx.TensorProto.FLOAT
        x, y = (helper.make_tensor_value_info(name, kind, [batch, columns]) for name in "xy")
        two = helper.make_tensor("two", kind, [], [2.0])
        node = helper.make_node("Mul", ["x", "two"], ["y"], domain=domain)
        graph = helper.make_graph([node], "double", [x], [y], [two])
        opsets = [helper.make_opsetid("", opset)]
        if domain:
            opsets.append(helper.make_opsetid(domain, 1))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        if manifest:
            onnx.helper.set_model_props(model, {ONNX_KEY: manifest.to_json()})
        path = tmp_path / "double.onnx"
        onnx.save(model, path)
        return path

    return make


@pytest.fixture(params=["tflite", "onnx"])
def double(request):
    """A maker of y = 2x with a free batch, once for each kind of file."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def edge_copy(tmp_path):
    """A folder that holds a copy of the package and nothing else."""
    source = Path(__file__).parents[2] / "edge"
    folder = tmp_path / "device"
    shutil.copytree(source, folder / "edge", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def make_bundle(tmp_path, describe):
    """Make a signed bundle of y = 2x with a .tflite model: make_bundle(factor=2, **changes).

    Gives its path; the keys that trust it are in keys.json next to it.
    """
    import numpy as np
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.signer import CryptoSigner

    from edge.bundle_entries import Tolerance
    from edge.trust import TrustedKey, TrustStore
    from toolkit.bundle.build import BundleParts, ModelPart, build
    from toolkit.zipapp import edge_zipapp

    signer = CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
    public = bytes.fromhex(signer.public_key.keyval["public"])
    (tmp_path / "keys.json").write_text(TrustStore.of(TrustedKey(public)).to_json())

    def make(factor=2, manifest=None, tolerance=None, **changes):
        manifest = manifest or describe()
        content = append_to_tflite((DATA / "double.tflite").read_bytes(), manifest)
        tolerance = tolerance or Tolerance(1e-7, 1e-4, 1.0)
        values = np.array([[1], [2], [-3], [4]], np.float32)
        parts = {
            "name": "double",
            "version": "1",
            "created": 1,
            "models": (ModelPart("double.tflite", content, manifest, tolerance),),
            "runtime": edge_zipapp(),
            "golden": {"inputs.value": values, "outputs.twice": values * np.float32(factor)},
            "verified": True,
        }
        path = tmp_path / "double-1.edge"
        path.write_bytes(build(BundleParts(**{**parts, **changes}), [signer]))
        return path

    return make


@pytest.fixture
def make_both(make_bundle, describe, onnx):
    """Make a bundle with y = 2x in both formats, the ONNX one first: make_both(changed, **changes).

    changed: from the bytes of a model file to what the bundle holds instead.
    """
    from edge.bundle_entries import Tolerance
    from toolkit.bundle.build import ModelPart

    def make(changed=bytes, **changes):
        tflite, other = describe(), describe(target="onnx", precision="fp16")
        content = append_to_tflite(changed((DATA / "double.tflite").read_bytes()), tflite)
        tolerance = Tolerance(1e-7, 1e-4, 1.0)
        graph = changed(onnx(manifest=other).read_bytes())
        models = (
            ModelPart("double.onnx", graph, other, tolerance),
            ModelPart("double.tflite", content, tflite, tolerance),
        )
        return make_bundle(models=models, **changes)

    return make


@pytest.fixture
def serving():
    """Start servers: serving(MODEL, *options, **environment); they are ended with the test."""
    from tests.edge.serving import Serving

    started = []

    def start(*arguments, **environment):
        started.append(Serving(*arguments, **environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


@pytest.fixture
def slow(tmp_path, serving, tflite):
    """Start a server whose model takes as many seconds as its input says: slow(*options)."""
    from tests.edge.serving import SLOW_RUNTIME

    package = tmp_path / "slow" / "ai_edge_litert"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("__version__ = 'slow'")
    (package / "interpreter.py").write_text(SLOW_RUNTIME)
    return lambda *options: serving(tflite(), *options, PYTHONPATH=str(package.parent))
