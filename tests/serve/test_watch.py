import os

import pytest

from tests.serve.models import bundle
from toolkit.errors import NotFoundError, UsageError
from toolkit.serve.watch import Settled, Source, check_names, read_labels, scan


def test_names_of_sources(tmp_path):
    path = bundle(tmp_path / "file-1.2.edge")
    assert Source.parse(str(path)) == Source("double", path)  # the bundle's own
    assert Source.parse(f"mine={path}") == Source("mine", path)
    other = tmp_path / "a=b.onnx"
    other.touch()
    assert Source.parse(f"m={other}") == Source("m", other)
    (tmp_path / "digits").mkdir()
    assert Source.parse(str(tmp_path / "digits")).name == "digits"
    (tmp_path / "net.v1.onnx").touch()
    assert Source.parse(str(tmp_path / "net.v1.onnx")).name == "net.v1"


def test_names_that_are_none(tmp_path):
    (tmp_path / "größe.onnx").touch()
    with pytest.raises(UsageError, match="name it: NAME="):
        Source.parse(str(tmp_path / "größe.onnx"))
    for text in ("", "m=", "none.edge", "m=none.edge"):
        with pytest.raises(NotFoundError, match="check the path"):
            Source.parse(text)
    with pytest.raises(UsageError, match="two models are called m"):
        check_names([Source("m", tmp_path), Source("n", tmp_path), Source("m", tmp_path)])
    with pytest.raises(UsageError, match="no model is named"):
        check_names([])


def test_a_file_is_version_one(tmp_path):
    path = bundle(tmp_path / "a.edge")
    found = scan(path)
    assert found[1].path == path
    path.unlink()
    with pytest.raises(FileNotFoundError):
        scan(path)


def test_folders_of_versions(tmp_path):
    for name in ("1/a.edge", "2/b.onnx", "2/b.onnx.data", "03/c.onnx", "x/d.onnx", "7/e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    for name in ("4.edge", "5", "6.txt", "0.onnx", "-8.onnx", "9.tflite", "2.tflite.part"):
        (tmp_path / name).write_text(name)
    (tmp_path / "10").mkdir()
    (tmp_path / "7" / "more").mkdir()
    (tmp_path / "7" / "more" / "f.onnx").touch()
    found = scan(tmp_path)
    assert {n: each.path.name for n, each in found.items() if each.path} == {
        1: "a.edge",
        2: "b.onnx",
        4: "4.edge",
        5: "5",
        9: "9.tflite",
    }
    assert "there is none" in found[7].problem
    assert found[10].print == ()
    (tmp_path / "1" / "b.onnx").touch()
    (tmp_path / "4").mkdir()
    found = scan(tmp_path)
    assert "there is a.edge, b.onnx" in found[1].problem
    assert "twice" in found[4].problem


def test_what_changes_is_not_settled(tmp_path):
    file = tmp_path / "1" / "a.edge"
    file.parent.mkdir()
    file.write_text("a")
    settled = Settled()
    assert not settled.of(scan(tmp_path))
    assert set(settled.of(scan(tmp_path))) == {1}
    file.write_text("ab")
    assert not settled.of(scan(tmp_path))
    os.utime(file, (1, 1))
    assert not settled.of(scan(tmp_path))
    (file.parent / "more").touch()
    assert not settled.of(scan(tmp_path))
    assert set(settled.of(scan(tmp_path))) == {1}


def test_labels(tmp_path):
    assert read_labels(tmp_path) == {}
    file = tmp_path / "labels.json"
    file.write_text('{"stable": 3, "canary": 4}')
    assert read_labels(tmp_path) == {"stable": 3, "canary": 4}
    for text in ("", "[]", '{"a": 0}', '{"a": true}', '{"a": "1"}', '{"": 1}', "{" * 9999, "\xff"):
        file.write_bytes(text.encode("latin-1"))
        with pytest.raises(UsageError, match=r"labels\.json: "):
            read_labels(tmp_path)
