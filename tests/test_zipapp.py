"""The edge package as one file."""

import io
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.conftest import ROOT
from toolkit import zipapp
from toolkit.errors import ToolkitError


def test_the_same_bytes_every_time_and_no_bytecode():
    content = zipapp.edge_zipapp()
    assert content == zipapp.edge_zipapp()
    assert len(content) <= 100_000
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {"__main__.py", "edge/__init__.py", "edge/bundle.py"} <= set(names)
        assert all(name.endswith(".py") for name in names)
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        for name in names[1:]:
            assert archive.read(name) == (ROOT / name).read_bytes()


def test_times_and_modes_of_the_sources_do_not_count(tmp_path):
    shutil.copytree(ROOT / "edge", tmp_path / "edge")
    for path in (tmp_path / "edge").rglob("*.py"):
        os.utime(path, (0, 0))
        path.chmod(0o700)
    code = "import sys; from toolkit import zipapp; sys.stdout.buffer.write(zipapp.edge_zipapp())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout == zipapp.edge_zipapp()


def test_python_runs_it(tmp_path):
    path = tmp_path / "some.pyz"
    path.write_bytes(zipapp.pack({"__main__.py": b"import sys; print(sys.argv[1:])"}))
    done = subprocess.run(
        [sys.executable, "-I", path, "a", "b"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['a', 'b']\n"


def test_one_that_is_too_large_is_refused():
    with pytest.raises(ToolkitError, match="over 100000"):
        zipapp.pack({"__main__.py": os.urandom(100_000)})
