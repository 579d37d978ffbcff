"""Folders on a disk and at URLs; S3 itself is in test_checkpoints_s3."""

import errno
import os
import subprocess
import sys

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from toolkit.errors import NotFoundError, StorageError, UsageError
from toolkit.train import storage as module
from toolkit.train.storage import Storage

SECRET = "wJalr/XUtn+FEMI"


class Flaky(MemoryFileSystem):
    """fsspec's memory file system, which refuses to open a file for the first `failures` times."""

    protocol = "flaky"
    failures = 0
    error: Exception = OSError("the line is busy")
    opened = 0

    def _open(self, path, mode="rb", **options):
        Flaky.opened += 1
        if Flaky.failures:
            Flaky.failures -= 1
            raise Flaky.error
        return super()._open(path, mode, **options)


fsspec.register_implementation("flaky", Flaky, clobber=True)


@pytest.fixture
def flaky(monkeypatch):
    monkeypatch.setattr(module, "_PAUSES", (0.01, 0.02))
    monkeypatch.setattr(Flaky, "opened", 0)
    monkeypatch.setattr(Flaky, "failures", 0)
    return Storage.at("flaky://place")


@pytest.mark.parametrize("kind", ["path", "file", "memory"])
def test_what_is_written_can_be_read_replaced_listed_and_deleted(tmp_path, kind):
    folder = tmp_path / "a b" / "ü"
    location = {
        "path": str(folder),
        "file": f"file://{tmp_path}/a%20b/%C3%BC",
        "memory": f"memory://{tmp_path}/new",
    }[kind]
    storage = Storage.at(location)
    assert storage.names() == []
    for content in (b"old", b"", b"new" * 100_000):
        storage.write("b.bin", content)
        assert storage.read("b.bin") == content
    storage.write("a.bin", b"a")
    assert storage.names() == ["a.bin", "b.bin"]
    assert Storage.at(location).read("a.bin") == b"a"
    for _ in range(2):
        storage.delete("b.bin")
        assert storage.names() == ["a.bin"]
    with pytest.raises(NotFoundError, match=r"b\.bin"):
        storage.read("b.bin")
    if kind != "memory":
        assert storage.location == str(folder)
        assert (folder / "a.bin").read_bytes() == b"a"


def test_folders_beside_the_files_are_no_files(tmp_path):
    (tmp_path / "folder").mkdir()
    assert Storage.at(str(tmp_path)).names() == []
    inner, outer = Storage.at("memory://outer/inner"), Storage.at("memory://outer")
    inner.write("x", b"")
    assert outer.names() == []


def test_a_place_that_cannot_be_used_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    for place in ("/proc/a", str(tmp_path / "file"), str(tmp_path / "file" / "a")):
        with pytest.raises(StorageError, match=f"cannot write {place}"):
            Storage.at(place)


def test_a_folder_that_is_gone_is_not_taken_for_an_empty_one(tmp_path):
    storage = Storage.at(str(tmp_path / "a"))
    (tmp_path / "a").rmdir()
    for action in (storage.names, lambda: storage.write("x", b"")):
        with pytest.raises(StorageError, match="No such file or directory"):
            action()


def test_errors_of_the_disk_are_translated(tmp_path, monkeypatch):
    storage = Storage.at(str(tmp_path))
    (tmp_path / "folder").mkdir()
    for action in (storage.read, storage.delete):
        with pytest.raises(StorageError, match=r"cannot (read|delete) .*folder: Is a directory"):
            action("folder")


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("foo://x/y", "Protocol not known: foo; use a path, s3://"),
        ("sftp://host/x", 'requires "paramiko" to be installed, with pip install'),
        ("s3:/bucket/x", "neither a path nor a URL; write s3://"),
        ("s3:///x", "Missing bucket name"),
        ("s3://bucket/x?bogus=1", "Unexpected query parameter in S3 URI: 'bogus'"),
        ("abfs://container/x", "valid account name"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(location, reason):
    with pytest.raises(UsageError) as caught:
        Storage.at(location)
    assert reason in str(caught.value)


def test_a_server_that_cannot_be_reached_is_named():
    with pytest.raises(StorageError, match=r"cannot open ftp://127\.0\.0\.1:1/x: .*refused"):
        Storage.at("ftp://127.0.0.1:1/x")


@pytest.mark.parametrize("package", ["pyarrow", "pyarrow.fs", "fsspec.core"])
def test_a_missing_package_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    name = package.partition(".")[0]
    with pytest.raises(UsageError, match=f"memory://x: it needs {name}; next: pip install {name}"):
        Storage.at("memory://x")


@pytest.mark.parametrize(
    "location",
    [
        f"s3://AKIA:{SECRET}@bucket/x",
        f"foo://user:{SECRET}@bucket/x",
        f"s3://bucket/x?secret_key={SECRET}",
        "s3://AKIA:wJalr%2FXUtn%2BFEMI@bucket/x?bogus=1",
    ],
)
def test_messages_hold_no_secrets(location):
    with pytest.raises(UsageError) as caught:
        Storage.at(location)
    shown = f"{caught.value} {caught.value.__cause__}"
    assert "bucket/x" in shown
    for part in ("wJalr", "FEMI", "XUtn"):
        assert part not in shown


def test_locations_hold_no_secrets():
    location = "s3://AKIA:wJalr%2FXUtn@bucket/x/?endpoint_override=localhost:1&scheme=http"
    assert Storage.at(location).location == "s3://bucket/x"
    azure = "abfss://container@account.dfs.core.windows.net/x"
    assert Storage.at(azure).location == azure


def test_a_write_that_fails_twice_succeeds(flaky):
    Flaky.failures = 2
    flaky.write("a", b"content")
    assert flaky.read("a") == b"content"
    assert Flaky.opened == 4


def test_a_write_that_keeps_failing_is_given_up_and_changes_nothing(flaky):
    flaky.write("a", b"old")
    Flaky.failures, Flaky.opened = 9, 0
    with pytest.raises(StorageError) as caught:
        flaky.write("a", b"new")
    assert str(caught.value).startswith("cannot write a to flaky://place: the line is busy; see")
    assert Flaky.opened == 3
    Flaky.failures = 0
    assert flaky.read("a") == b"old"


def test_a_write_that_is_not_allowed_is_not_repeated(flaky, monkeypatch):
    monkeypatch.setattr(Flaky, "error", PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    Flaky.failures = 9
    with pytest.raises(StorageError, match="Permission denied; check the credentials"):
        flaky.write("a", b"new")
    assert Flaky.opened == 1


def test_neither_pyarrow_nor_a_framework_is_loaded_for_a_local_folder(tmp_path):
    script = (
        "import sys; from toolkit.train.storage import Storage; from toolkit.train import "
        "checkpoints; Storage.at(sys.argv[1]).write('a', b''); "
        "print({'pyarrow', 'fsspec', 'torch', 'tensorflow', 'ray'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
