"""What the fuzzer feeds to parsers, and what must hold for each of their answers.

Each case is a strategy and a function of one input; those of test_fuzz.py are among them.
"""

import hashlib
import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from edge.bundle import Bundle
from edge.bundle_format import canonical
from edge.errors import ModelError
from edge.golden import read_arrays, write_arrays
from edge.manifest import Manifest
from edge.manifest_tflite import append_to_tflite, read_from_tflite
from edge.tensor import Tensor
from edge.trust import STATES, TrustError, TrustStore, read_signatures
from tests.bundle import test_fuzz as parts_of_it
from tests.bundle.conftest import parts, signer, trusted
from tests.bundle.test_faults import archive, npy
from tests.bundle.test_fuzz import (
    MANIFEST,
    SIGNATURES,
    VALUES,
    WHOLE,
    answers,
    damaged,
    faults,
    manifests,
    mutated,
    places,
)  # fmt: skip
from tests.conftest import ROOT
from toolkit.bundle.build import build
from toolkit.zipapp import edge_zipapp

FILE = Path(tempfile.mkdtemp(prefix="fuzz-")) / "some.edge"
STORE = TrustStore.of(trusted(1), trusted(2, "retired"), trusted(3, "revoked"))
TFLITE = (ROOT / "tests/edge/data/double.tflite").read_bytes()
REAL = build(parts(runtime=edge_zipapp(), attachments=()), [signer(1)])
DEVICE = Manifest(
    name="double",
    framework="torch",
    target="tflite",
    precision="int8",
    inputs=(Tensor("value", (None, 4), "float32", (0.5, -3)), Tensor("other", (None,), "int64")),
    outputs=(Tensor("twice", (None, 2), "float32"),),
    preprocessing={"value": [{"step": "scale", "factor": 2.0, "offset": 1.0}]},
    decision="argmax",
    labels=("no", "yes"),
    extra={"made": {"by": ["a", 1]}},
)
GOLDEN = write_arrays({"inputs.x": np.zeros((2, 3), np.float32), "outputs.y": np.arange(2)})

NUMBERS = st.sampled_from([0, 1, 2, 8, 12, 14, 99, 0xFFFF, 1 << 30, (1 << 32) - 1]) | st.integers(
    0, (1 << 32) - 1
)
SHAPES = st.sampled_from(["(2, 1)", "()", "(0,)", "(-1, -2)", "(1 << 9,)", "None", "(" * 99]) | (
    st.lists(st.integers(-2, 1 << 62), max_size=40).map(lambda sizes: repr(tuple(sizes)))
)
DTYPES = st.sampled_from(["<f4", "<i8", "|b1", "|O", "<U2", "|S8", "|V0", "<M8[s]", ">f8", "x"])


@st.composite
def deep(draw, good):
    """JSON text with many brackets at some place."""
    value = json.loads(json.dumps(good))
    path = draw(st.sampled_from([path for path in places(value) if path]))
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = "DEEP"
    depth = draw(st.integers(1, 1100))
    begin, end = draw(st.sampled_from([(b"[", b"]"), (b'{"a":', b"}")]))
    middle = b"0" if end == b"}" else b""
    return canonical(value).replace(b'"DEEP"', begin * depth + middle + end * depth)


@st.composite
def archives(draw, name, contents):
    """A zip archive of one or two members, some fields of whose headers were changed."""
    members = [(name, draw(contents)) for _ in range(draw(st.integers(1, 2)))]
    data = bytearray(
        archive(*dict(members).items(), compression=draw(st.sampled_from([0, 0, 8, 14])))
    )
    for _ in range(draw(st.integers(0, 3))):
        magic, length = draw(st.sampled_from([(b"PK\1\2", 46), (b"PK\3\4", 30), (b"PK\5\6", 22)]))
        begin = data.find(magic) + draw(st.integers(4, length - 2))
        size = draw(st.sampled_from([1, 2, 4]))
        number = draw(NUMBERS) % (1 << 8 * size)
        data[begin : begin + size] = number.to_bytes(size, "little")
    return bytes(data) if draw(st.booleans()) else draw(flipped(bytes(data)))


@st.composite
def shuffled(draw, good):
    """A bundle whose parts are repeated, left out, zeroed or in another order."""
    cuts = {0, 8, 12, 16, 20, 32, len(good), *range(4096, len(good), 4096)}
    chunks = [good[begin:end] for begin, end in itertools.pairwise(sorted(cuts))]
    for _ in range(draw(st.integers(1, 3))):
        one, two = (draw(st.integers(0, len(chunks) - 1)) for _ in range(2))
        chunks[one] = draw(st.sampled_from([b"", bytes(len(chunks[one])), chunks[two] + chunks[one],
                                            chunks[two], chunks[one][::-1]]))  # fmt: skip
    return b"".join(chunks)


@st.composite
def flipped(draw, good):
    """One to three bytes changed, and nothing moved: only hashes and checks of zeros tell."""
    data = bytearray(good)
    for place in draw(st.sets(st.integers(0, len(data) - 1), min_size=1, max_size=3)):
        data[place] ^= draw(st.integers(1, 255))
    return bytes(data)


@st.composite
def states(draw):
    """A good store whose keys are in other states."""
    value = json.loads(STORE.to_json())
    for key in value["keys"]:
        key["state"] = draw(st.sampled_from(STATES))
    return json.dumps(value).encode()


def whole_case(data):
    FILE.write_bytes(data)
    assert answers(Bundle.open, FILE, STORE) is None or data in (WHOLE, REAL)
    unsigned = answers(lambda: Bundle.open(FILE, allow_unsigned=True))
    for member in unsigned.manifest.members if unsigned else ():
        assert hashlib.sha256(unsigned.member(member.name)).hexdigest() == member.sha256


def sealed_case(manifest):
    """A trusted key signed it, whatever it says of the members that are there."""
    body = WHOLE[MANIFEST["members"][0]["offset"] :]
    FILE.write_bytes(faults.sealed(manifest, body))
    opened = answers(Bundle.open, FILE, STORE)
    for member in opened.manifest.members if opened else ():
        assert hashlib.sha256(opened.member(member.name)).hexdigest() == member.sha256
    if opened:
        answers(opened.golden)


def device_case(text):
    read = answers(Manifest.from_json, text, error=ModelError)
    assert read is None or Manifest.from_json(read.to_json()) == read


def tflite_case(data):
    """What was written is read, or nothing, or an error; never another manifest."""
    assert answers(read_from_tflite, data, error=ModelError) in (None, DEVICE)


def tflite_archive_case(data):
    read = answers(read_from_tflite, TFLITE + data, error=ModelError)
    assert read is None or Manifest.from_json(read.to_json()) == read


def golden_case(data):
    for array in (answers(read_arrays, memoryview(data)) or {}).values():
        assert array.nbytes <= len(data)
        assert not array.flags.writeable


def store_case(text):
    """Whatever the store says, only the key that signed can count, and only while it is active."""
    store = answers(TrustStore.from_json, text, error=TrustError)
    if store is None:
        return
    assert TrustStore.from_json(store.to_json()) == store
    answers(store.check_endorsements, error=TrustError)
    good = canonical(MANIFEST)
    signed_by = answers(store.check, SIGNATURES, good, error=TrustError)
    (keyid,) = read_signatures(SIGNATURES)
    assert signed_by in (None, (keyid,))
    assert signed_by is None or store.keys[keyid].state == "active"
    assert answers(store.check, SIGNATURES, good + b" ", error=TrustError) is None


def text_of(strategy):
    return strategy.map(lambda value: json.dumps(value).encode())


KEYS = json.loads(STORE.to_json())
KEYS["keys"][1]["endorsement"] = {"keyid": trusted(1).keyid, "sig": "ab" * 64}
DESCRIBED = json.loads(DEVICE.to_json())
ARRAYS = st.builds(npy, SHAPES, DTYPES.map(repr), st.binary(max_size=40), st.booleans())

CASES = {name.replace(" ", "-"): case for name, case in parts_of_it.CASES.items()} | {
    "bundle": (st.sampled_from([WHOLE, REAL]).flatmap(damaged), whole_case),
    "bundle-bytes": (st.sampled_from([WHOLE, REAL]).flatmap(flipped), whole_case),
    "bundle-parts": (st.sampled_from([WHOLE, REAL]).flatmap(shuffled), whole_case),
    "bundle-signed": (manifests(), lambda m: parts_of_it.sealed_case(FILE, STORE, m)),
    "bundle-deep": (deep(MANIFEST), sealed_case),
    "device": (text_of(mutated(DESCRIBED) | VALUES), device_case),
    "device-text": (damaged(DEVICE.to_json().encode()) | deep(DESCRIBED), device_case),
    "tflite": (damaged(append_to_tflite(TFLITE, DEVICE)), tflite_case),
    "tflite-bytes": (flipped(append_to_tflite(TFLITE, DEVICE)), tflite_case),
    "tflite-archive": (
        archives("manifest.json", st.just(DEVICE.to_json()) | text_of(mutated(DESCRIBED))),
        tflite_archive_case,
    ),
    "golden-archive": (archives("inputs.x.npy", ARRAYS) | damaged(GOLDEN), golden_case),
    "keys": (text_of(mutated(KEYS)) | states() | deep(KEYS), store_case),
    "keys-text": (damaged(STORE.to_json().encode()), store_case),
}  # fmt: skip
