"""Programs that draw graphs: which one is started, and what is said where there is none."""

import pytest

from toolkit.errors import ToolkitError, UsageError
from toolkit.inspection import viewer


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "my model.onnx"
    path.write_bytes(b"graph")
    return path


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """programs(name, code): a program that keeps what it was given, and ends with that code."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    monkeypatch.setattr(viewer.sys, "executable", str(folder / "python"))

    def make(name, code=0):
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/given"\nexit {code}\n')
        path.chmod(0o755)

    return make


def test_netron_is_preferred_and_given_the_file(programs, model, tmp_path):
    programs("netron")
    programs("model-explorer", 5)
    assert viewer.show(model) == "netron"
    assert (tmp_path / "given").read_text().strip() == str(model)


def test_model_explorer_stands_in(programs, model):
    programs("model-explorer")
    assert viewer.show(model) == "model-explorer"


def test_without_a_program_the_error_names_what_to_install(programs, model):
    with pytest.raises(UsageError, match="pip install netron"):
        viewer.show(model)


def test_a_program_that_fails_is_an_error(programs, model):
    programs("netron", 3)
    with pytest.raises(ToolkitError, match="netron ended with exit code 3"):
        viewer.show(model)


def test_a_file_that_is_not_there(programs, tmp_path):
    programs("netron")
    with pytest.raises(UsageError, match="check the path"):
        viewer.show(tmp_path / "none.onnx")
