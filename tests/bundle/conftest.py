"""Small whole bundles, signed with a key that is made of fixed bytes, and the stores around it."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from edge.bundle import Bundle
from edge.bundle_entries import Tolerance
from edge.manifest import Manifest
from edge.tensor import Tensor
from edge.trust import TrustedKey, TrustStore
from toolkit.bundle.build import Attachment, BundleParts, ModelPart, build
from toolkit.bundle.vocabularies import moved


def signer(seed):
    """A signer whose key is `seed` 32 times."""
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def trusted(seed, state="active"):
    public = bytes.fromhex(signer(seed).public_key.keyval["public"])
    return TrustedKey(public, state=state, name=f"seed {seed}")


def zip_of(**files):
    """A zip archive that no version of zlib changes: stored."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name.replace("__py", ".py")), content)
    return buffer.getvalue()


def model(target, precision="fp32", labels=("no", "yes")):
    """A part whose content is no real model: a bundle does not look into it."""
    manifest = Manifest(
        name="double",
        framework="torch",
        target=target,
        precision=precision,
        inputs=(Tensor("value", (None, 1), "float32"),),
        outputs=(Tensor("twice", (None, 1), "float32"),),
        decision="sign",
        labels=labels,
    )
    content = f"{target} {precision} ".encode() * 50
    name = f"double-{precision}.{target}"
    return ModelPart(name, content, manifest, Tolerance(1.5e-7, 1e-4, 1.0))


def parts(**changes):
    """The parts of tests/bundle/data/v1.edge; `changes` replace fields."""
    made = BundleParts(
        name="double",
        version="1.0.3",
        created=1_700_000_000,
        models=(model("tflite"), model("onnx", "fp16")),
        runtime=zip_of(__main____py="print('the runtime of', __file__)\n"),
        golden={
            "inputs.value": np.array([[1], [2], [-3]], np.float32),
            "outputs.twice": np.array([[2], [4], [-6]], np.float32),
            "labels": np.array([1, 1, 0]),
        },
        verified=True,
        verification={"runtimes": {"litert": "2.3.0"}, "samples": 3, "note": "größer"},
        lineage={"run": "linear-1", "recipe_sha256": "ab" * 32, "tools": {"torch": "2.9.1"}},
        needs={"python": "3.9"},
        attachments=(
            Attachment("license.txt", "license", b"Apache-2.0\n"),
            Attachment("verification.json", "lineage", b'{"samples": 3}\n'),
        ),
    )
    return replace(made, **changes)


def text_model(target, vocabulary):
    """A part that takes texts."""
    step = {"step": "tokenise", "vocabulary": vocabulary, "length": 8, "unknown": 1, "padding": 0}
    plain = model(target)
    manifest = replace(
        plain.manifest,
        inputs=(Tensor("value", (None, 8), "int32"),),
        preprocessing={"value": [step]},
    )
    return replace(plain, manifest=manifest)


def text_parts():
    """The parts of tests/bundle/data/v2.edge: two models of one vocabulary."""
    words = ["", "[UNK]", *(f"word{index}" for index in range(600))]
    models, vocabularies = moved([text_model("tflite", words), text_model("onnx", words)])
    golden = {
        "inputs.value": np.array(["word0 word1", "no such thing", ""]),
        "outputs.twice": np.array([[2], [4], [-6]], np.float32),
    }
    return parts(models=models, golden=golden, attachments=vocabularies)


@pytest.fixture(scope="session")
def store():
    """Trusts seed 1; 2 is retired, 3 revoked, 4 unknown."""
    return TrustStore.of(trusted(1), trusted(2, "retired"), trusted(3, "revoked"))


@pytest.fixture(scope="session")
def bundle():
    """The bytes of a good bundle, signed by seed 1."""
    return build(parts(), [signer(1)])


@pytest.fixture
def opened(tmp_path):
    """Open bytes as a file: opened(data, store, allow_unsigned=False)."""

    def make(data, keys=None, **options):
        path = tmp_path / "some.edge"
        path.write_bytes(data)
        return Bundle.open(path, keys, **options)

    return make
