"""What goes into a bundle comes out of it, and the same goes in as the same bytes."""

import hashlib
import json
import mmap
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import Bundle
from edge.bundle_entries import Tolerance
from edge.bundle_format import BundleError, Header, TrustError, read_header, write_header
from edge.bundle_manifest import BundleManifest
from tests.bundle.conftest import model, parts, signer, text_parts
from toolkit.bundle.build import Attachment, build
from toolkit.bundle.keys import key_id

V1, V2 = (Path(__file__).parent / "data" / name for name in ("v1.edge", "v2.edge"))


def test_everything_comes_out(bundle, store, opened):
    read, put = opened(bundle, store), parts()
    assert read.signed_by == (key_id(signer(1)),)
    assert (read.manifest.name, read.manifest.version) == ("double", "1.0.3")
    assert read.manifest.verified is True
    assert read.manifest.labels == ("no", "yes")
    for entry, part in zip(read.models, put.models, strict=True):
        assert read.member(entry.member) == part.content
        assert (entry.member, entry.manifest) == (part.name, part.manifest)
        assert read.manifest.golden.tolerances[part.name] == part.tolerance
    golden = read.golden()
    assert golden.keys() == put.golden.keys()
    for name, array in put.golden.items():
        np.testing.assert_array_equal(golden[name], array, strict=True)
    assert read.member("license.txt") == b"Apache-2.0\n"
    assert read.member("edge.pyz") == put.runtime
    for key in ("verification", "lineage", "needs"):
        assert read.manifest.value[key] == getattr(put, key)


def test_the_first_format_is_still_read_and_still_written(store):
    assert Bundle.open(V1, store).manifest.version == "1.0.3"
    assert build(parts(), [signer(1)]) == V1.read_bytes()


def test_the_layout_is_as_documented(bundle):
    header = read_header(bundle[:32])
    manifest = json.loads(bundle[32 : 32 + header.manifest])
    end = 32 + header.manifest + header.signatures
    for member in manifest["members"]:
        assert member["offset"] == -(-end // 4096) * 4096
        assert not any(bundle[end : member["offset"]])
        end = member["offset"] + member["size"]
        content = bundle[member["offset"] : end]
        assert hashlib.sha256(content).hexdigest() == member["sha256"]
    assert end == len(bundle)
    assert read_header(write_header(Header(5, 7))) == Header(5, 7)


def test_the_manifest_keeps_what_it_does_not_know(bundle):
    header = read_header(bundle[:32])
    value = json.loads(bundle[32 : 32 + header.manifest])
    value["later"] = {"β": [1, 2.5, None]}
    value["members"][0]["later"] = True
    manifest = BundleManifest.from_value(value)
    assert BundleManifest.from_bytes(manifest.to_bytes()) == manifest
    assert manifest.value["later"] == {"β": [1, 2.5, None]}


def test_python_runs_the_bundle_itself(bundle, tmp_path):
    path = tmp_path / "double-1.0.3.edge"
    path.write_bytes(bundle)
    done = subprocess.run([sys.executable, "-I", path], capture_output=True, text=True, check=True)
    assert done.stdout == f"the runtime of {path}/__main__.py\n"


def test_without_golden_vectors_labels_or_verification(store, opened):
    bare = tuple(replace(model(kind, labels=None), tolerance=None) for kind in ("tflite", "onnx"))
    read = opened(build(parts(models=bare, golden=None, verified=False), [signer(1)]), store)
    assert (read.golden(), read.manifest.golden, read.manifest.labels) == (None, None, None)
    assert read.manifest.verified is False


def test_unsigned_only_where_that_is_allowed(store, opened, bundle):
    unsigned = build(parts())
    with pytest.raises(TrustError, match=r"some\.edge: not signed\n"):
        opened(unsigned, store)
    with pytest.raises(TrustError, match="no trusted keys were given"):
        opened(bundle)
    assert opened(unsigned, store, allow_unsigned=True).signed_by == ()
    assert opened(unsigned, allow_unsigned=True).signed_by == ()
    assert opened(bundle, allow_unsigned=True).signed_by == ()
    foreign = build(parts(), [signer(4)])
    with pytest.raises(TrustError, match="does not trust"):
        opened(foreign, store, allow_unsigned=True)
    damaged = unsigned[:-1] + bytes([unsigned[-1] ^ 1])
    with pytest.raises(BundleError, match=r"edge\.pyz has another hash"):
        opened(damaged, allow_unsigned=True)


def test_members_are_read_only_and_outlive_the_bundle_and_the_file(bundle, store, tmp_path):
    path = tmp_path / "some.edge"
    path.write_bytes(bundle)
    read = Bundle.open(path, store)
    member = read.member("license.txt")
    assert isinstance(member.obj, mmap.mmap)
    assert member.readonly
    golden = read.golden()["inputs.value"]
    assert not golden.flags.writeable
    del read
    path.unlink()
    assert (bytes(member), golden[2, 0]) == (b"Apache-2.0\n", -3)
    with pytest.raises(BundleError, match=r"no member 'x'\nthere is: double-fp32\.tflite, "):
        Bundle.open(V1, store).member("x")


def test_memory_is_the_same_for_a_large_file(store, tmp_path):
    path = tmp_path / "large.edge"
    large = Attachment("large.bin", "lineage", bytes(64 << 20))
    path.write_bytes(build(parts(attachments=(large,)), [signer(1)]))
    del large
    Bundle.open(path, store)
    tracemalloc.start()
    try:
        Bundle.open(path, store)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20


def test_opening_again_and_again_leaves_nothing_open(store):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        Bundle.open(V1, store).golden()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "a/b"}, "manifest: name: "),
        ({"version": ""}, "manifest: version: "),
        ({"created": -1}, "manifest: created: "),
        ({"models": ()}, "manifest: models: "),
        ({"models": (model("tflite"), model("tflite"))}, "two are called double-fp32.tflite"),
        ({"models": (model("tflite"), model("onnx", labels=("a", "b")))}, "manifest: labels: "),
        ({"models": (replace(model("tflite"), name="../x"),)}, r"the name '\.\./x' is not"),
        ({"models": (replace(model("tflite"), content=b""),)}, "size: expected 1 to"),
        ({"models": (replace(model("tflite"), tolerance=None),)}, "golden.tolerances"),
        (
            {"models": (replace(model("tflite"), tolerance=Tolerance(0.0, 0.0, 1.1)),)},
            "agreement: expected null or a number, got 1.1",
        ),
        ({"attachments": (Attachment("a", "code", b"1"),)}, "'code' is not one of"),
        ({"lineage": {"x": float("nan")}}, "manifest: not JSON"),
        ({"lineage": {"x": "y" * (1 << 20)}}, "over the limit of 1048576"),
        ({"golden": {"x": np.array([None])}}, "dtype object"),
        ({"golden": {"x": np.array([b"a"])}}, r"dtype \|S1"),
    ],
)
def test_parts_that_do_not_make_a_bundle(changes, words):
    with pytest.raises(BundleError, match=words):
        build(parts(**changes))


def test_offsets_that_make_the_manifest_longer_are_found():
    for length in range(700, 4000, 37):  # somewhere here the manifest crosses a page
        data = build(parts(lineage={"x": "y" * length}))
        header = read_header(data[:32])
        manifest = json.loads(data[32 : 32 + header.manifest])
        assert manifest["members"][0]["offset"] == header.first_member


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "uint64", "bool", ">i4"]
)
def test_golden_arrays_of_every_kind(dtype, opened):
    arrays = {"x": np.arange(6).reshape(2, 3).astype(dtype), "y": np.array(1, dtype)}
    arrays["z"] = np.asfortranarray(arrays["x"])
    golden = opened(build(parts(golden=arrays)), allow_unsigned=True).golden()
    for name, array in arrays.items():
        assert golden[name].dtype == array.dtype.newbyteorder("<")
        np.testing.assert_array_equal(golden[name], array)


def test_golden_texts(opened):
    texts = np.array(["", "ä cat", "𝄞 sat", "\n"])
    golden = opened(build(parts(golden={"x": texts, "y": texts[:0]})), allow_unsigned=True).golden()
    assert golden["x"].tolist() == texts.tolist()
    assert golden["y"].shape == (0,)
    assert not golden["x"].flags.owndata


def test_the_second_format_is_still_read_and_still_written(store):
    """Vocabularies and golden texts: what format 1 cannot say."""
    read = Bundle.open(V2, store)
    assert read_header(V2.read_bytes()[:32]).format == read.manifest.value["format"] == 2
    assert bytes(read.member("vocabulary.txt")).startswith(b"\n[UNK]\nword0\n")
    assert read.golden()["inputs.value"].tolist() == ["word0 word1", "no such thing", ""]
    assert build(text_parts(), [signer(1)]) == V2.read_bytes()


def test_format_one_has_no_vocabularies():
    value = json.loads(json.dumps(dict(_opened_manifest())))
    value["format"] = 1
    with pytest.raises(BundleError, match=r"members\.vocabulary\.txt\.kind: format 1 has no voc"):
        BundleManifest.from_value(value)
    for number in (0, 3, True, 1.0, "1", None):
        with pytest.raises(BundleError, match="format: expected 1 to 2"):
            BundleManifest.from_value({**value, "format": number})


def test_a_vocabulary_that_is_named_must_be_there():
    value = json.loads(json.dumps(dict(_opened_manifest())))
    (step,) = value["models"][0]["manifest"]["preprocessing"]["value"]
    for name in ("other.txt", "edge.pyz"):
        step["vocabulary"] = {"member": name}
        with pytest.raises(
            BundleError, match=rf"preprocessing\.value: there is no vocabulary {name}"
        ):
            BundleManifest.from_value(value)


def _opened_manifest():
    return Bundle.open(V2, allow_unsigned=True).manifest.value


def test_not_a_file(tmp_path, store):
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("none", "No such file"), ("", "Is a dir"), ("pipe", "not a regular")):
        with pytest.raises(BundleError, match=words):
            Bundle.open(tmp_path / name, store)
