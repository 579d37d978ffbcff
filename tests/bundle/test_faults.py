"""No damaged bundle loads, crashes, hangs or fills the memory; each message says what is wrong."""

import hashlib
import io
import re
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from edge.bundle import Bundle
from edge.bundle_format import BundleError
from edge.golden import read_arrays, write_arrays
from tests.bundle import faults
from tests.bundle.conftest import parts, signer
from toolkit.bundle.build import build

LEAST = 2_000
COUNTED = {}


def refused(path, store, data, words):
    """Open a damaged bundle; None if it was refused as it should be, else what went wrong."""
    path.write_bytes(data)
    try:
        Bundle.open(path, store)
    except BundleError as error:
        text = str(error)
        what, _, step = text.removeprefix(f"{path}: ").partition("\n")
        if text.startswith(str(path)) and re.search(words, text) and what and step:
            return None
        return f"message: {text!r}"
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is a failure to report
        return f"raised {error!r}"
    return "was loaded"


@pytest.mark.parametrize("kind", faults.KINDS, ids=lambda kind: kind.__name__)
def test_damaged_bundles(kind, bundle, store, tmp_path):
    path, wrong, seen = tmp_path / "some.edge", [], set()
    assert Bundle.open(_written(path, bundle), store).signed_by
    for what, data, words in kind(bundle):
        assert data != bundle, what
        seen.add(hash(data))
        problem = refused(path, store, data, words)
        if problem:
            wrong.append(f"{what} ({words}): {problem}")
    assert not wrong, f"{len(wrong)} of {len(seen)}:\n" + "\n".join(wrong[:20])
    COUNTED[kind.__name__] = len(seen)


def test_there_were_enough_of_them():
    if len(COUNTED) < len(faults.KINDS):
        pytest.skip("only where all kinds ran")
    assert sum(COUNTED.values()) >= LEAST, COUNTED


def test_memory_stays_bounded_whatever_the_lengths_say(bundle, store, tmp_path):
    cases = [*faults.header_lengths(bundle), *faults.signatures(bundle), *faults.additions(bundle)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _, data, words in cases:
            assert refused(tmp_path / "some.edge", store, data, words) is None
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_a_manifest_at_the_limit_and_one_byte_over_it(store, opened):
    manifest, _, _ = faults.split(build(parts(lineage={"x": ""})))
    room = (1 << 20) - len(faults.canonical(manifest)) - 30
    assert opened(build(parts(lineage={"x": "y" * room}), [signer(1)]), store).signed_by
    with pytest.raises(BundleError, match="manifest of 1048577 bytes"):
        opened(faults.sealed(b"x" * ((1 << 20) + 1), b""), store)


def _written(path, data):
    path.write_bytes(data)
    return path


def npy(shape="(2, 1)", descr="'<f4'", data=bytes(8), fortran=False, version=b"\1\0"):
    """An .npy file whose header says what it likes."""
    header = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    header = header.ljust(118) + b"\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


def archive(*members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def stored(content=b"", name="x.npy"):
    return archive((name, content))


GOOD = stored(npy())


def central(data, offset, value, size=4):
    """Change a field of the archive's central directory."""
    begin = data.index(b"PK\1\2") + offset
    return data[:begin] + value.to_bytes(size, "little") + data[begin + size :]


BOMBS = {
    "deflated": archive(("x.npy", npy("(250000,)", data=bytes(10**6))), compression=8),
    "lzma": archive(("x.npy", npy()), compression=14),
    "a gigabyte in a header": stored(npy("(16384, 16384)")),
    "more than all memory": stored(npy(f"({1 << 62}, {1 << 62})")),
    "sizes that cancel out": stored(npy("(-1, -2)")),
    "a negative size": stored(npy("(-2, -1)")),
    "an object": stored(npy("(1,)", "'|O'")),
    "a structure": stored(npy("(1,)", "[('a', '<f4'), ('b', '<f4')]")),
    "text without width": stored(npy("(1,)", "'<U0'", b"")),
    "text cut off": stored(npy("(1,)", "'<U3'")),
    "text that is none": stored(npy("(1,)", "'<U2'", b"a\0\0\0\0\0\x11\0")),
    "text that is none, backwards": stored(npy("(1,)", "'>U2'", b"\0\0\0a\0\x11\0\0")),
    "bytes": stored(npy("(1,)", "'|S8'")),
    "a dtype inside": stored(npy("(1,)", "('<f4', (2,))")),
    "no shape": stored(npy("None")),
    "a call": stored(npy("__import__('os').getcwd()")),
    "deep brackets": stored(npy("(" * 50 + ")" * 50)),
    "Fortran order": stored(npy(fortran=True)),
    "version 2": stored(npy(version=b"\2\0")),
    "version 9": stored(npy(version=b"\x09\0")),
    "too little data": stored(npy(data=bytes(7))),
    "too much data": stored(npy(data=bytes(9))),
    "not npy": stored(b"hello"),
    "a pickle": stored(b"\x80\x04K\x01."),
    "empty": stored(b""),
    "another file": stored(npy(), "x.txt"),
    "twice": archive(("x.npy", npy()), ("y.npy", npy())).replace(b"y.npy", b"x.npy"),
    "many": archive(*((f"{i}.npy", npy()) for i in range(257))),
    "a size beyond the file": central(central(GOOD, 20, 1 << 30), 24, 1 << 30),
    "a place beyond the file": central(GOOD, 42, 1 << 30),
    "a place inside": central(GOOD, 42, 5),
    "encrypted": central(GOOD, 8, 1, 2),
    "another method": central(GOOD, 10, 99, 2),
    "no archive": b"x" * 100,
    "only an end": GOOD[-22:],
    "half": GOOD[: len(GOOD) // 2],
    "a whole deflate bomb": zlib.compress(bytes(10**7)),
}


@pytest.mark.parametrize("what", BOMBS)
def test_bombs_in_golden_vectors_that_a_trusted_key_signed(what, bundle, store, tmp_path):
    read = Bundle.open(_written(tmp_path / "some.edge", _with_golden(bundle, BOMBS[what])), store)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=r"golden vectors: .*\nmake the bundle again"):
            read.golden()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_the_archive_that_bombs_are_made_of_is_read():
    assert read_arrays(memoryview(GOOD))["x"].tolist() == [[0], [0]]
    arrays = {"a": np.arange(3)}
    assert read_arrays(memoryview(write_arrays(arrays)))["a"].tolist() == [0, 1, 2]


def _with_golden(data, content):
    """The bundle with another golden member, signed by the trusted key."""
    manifest, _, _ = faults.split(data)
    body, offset = b"", manifest["members"][0]["offset"]
    for member in manifest["members"]:
        held = data[member["offset"] : member["offset"] + member["size"]]
        if member["kind"] == "golden":
            held = content
        body = body.ljust(-(-len(body) // 4096) * 4096, b"\0")
        digest = hashlib.sha256(held).hexdigest()
        member.update(offset=offset + len(body), size=len(held), sha256=digest)
        body += held
    return faults.sealed(manifest, body)


def test_a_file_over_the_limit_is_not_read(bundle, store, tmp_path):
    path = _written(tmp_path / "some.edge", bundle)
    with path.open("r+b") as file:
        file.truncate((4 << 30) + 1)  # sparse: it takes no room on disk
    with pytest.raises(BundleError, match="4294967297 bytes, over the limit of 4294967296"):
        Bundle.open(path, store)
