"""Atomic writes: the old content or the new, and nothing left behind."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from toolkit import files
from toolkit.errors import StorageError
from toolkit.files import make_directory, write_bytes, write_json

ROOT = Path(__file__).parents[1]


def test_bytes_are_written_and_replaced(tmp_path):
    path = tmp_path / "a.bin"
    for content in (b"old", b"", b"new" * 100_000):
        write_bytes(path, content)
        assert path.read_bytes() == content
        assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("broken", ["fsync", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failing_write_leaves_the_old_content(tmp_path, monkeypatch, broken, code):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def fail(*_):
        raise OSError(code, os.strerror(code))

    if broken == "fsync":
        monkeypatch.setattr(files.os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError, match=os.strerror(code)) as caught:
        write_bytes(path, b"new")
    assert f"cannot write {path}" in str(caught.value)
    assert "--runs-dir or --checkpoint-dir" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


def test_an_interrupted_write_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


def test_content_reaches_the_disk_before_the_name(tmp_path, monkeypatch):
    """A rename before fsync could leave an empty file after a power cut."""
    done = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(files.os, "fsync", lambda fd: done.append("fsync") or fsync(fd))
    monkeypatch.setattr(Path, "replace", lambda *args: done.append("rename") or replace(*args))
    write_bytes(tmp_path / "a.bin", b"new")
    assert done[:2] == ["fsync", "rename"]


LIMITED = """
import resource, signal, sys
from pathlib import Path
from toolkit.errors import StorageError
from toolkit.files import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(Path(sys.argv[1]), bytes(100_000))
except StorageError as error:
    print(error)
"""


def test_a_really_full_place_leaves_the_old_content(tmp_path):
    """The kernel refuses the write in the middle: a process that may write 1,000 bytes only."""
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    command = [sys.executable, "-c", LIMITED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.startswith(f"cannot write {path}: File too large")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("place", ["none/a.bin", "file/a.bin"])
def test_a_place_that_is_no_directory_is_refused(tmp_path, place):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StorageError, match="cannot write"):
        write_bytes(tmp_path / place, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_read_only_place_is_refused():
    """/proc refuses new files even to root."""
    with pytest.raises(StorageError, match=r"cannot write /proc/a\.bin"):
        write_bytes(Path("/proc/a.bin"), b"new")
    with pytest.raises(StorageError, match="cannot write /proc/a/b"):
        make_directory(Path("/proc/a/b"))


def test_directories_are_made_with_parents_and_may_exist(tmp_path):
    path = tmp_path / "a" / "b"
    make_directory(path)
    make_directory(path)
    assert path.is_dir()
    (path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write"):
        make_directory(path / "file")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), np.float64("nan")])
def test_what_json_cannot_hold_becomes_null(tmp_path, number):
    path = tmp_path / "a.json"
    write_json(path, {"a": number, "b": [1.5, {"c": number}], "d": (number, 0.0)})
    text = path.read_text()
    assert json.loads(text) == {"a": None, "b": [1.5, {"c": None}], "d": [None, 0.0]}
    for word in ("NaN", "Infinity"):
        assert word not in text


def test_json_keeps_order_and_types_and_is_readable(tmp_path):
    path = tmp_path / "a.json"
    value = {"z": 1, "a": True, "t": "é", "n": None, "f": 0.1, "l": [], "big": 2**70}
    write_json(path, value)
    text = path.read_text()
    assert json.loads(text) == value
    assert list(json.loads(text)) == list(value)
    assert text.endswith("}\n")
    assert text.count("\n") > len(value)


def test_what_is_no_json_changes_nothing(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
