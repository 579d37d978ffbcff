"""The emulated Python, a run with int8 files, and the small models of the tests of edge."""

import shutil

import pytest

from tests.arm.emulator import ArmPython
from tests.conftest import run_toolkit
from tests.edge.conftest import _describe, make_both, make_bundle, onnx

__all__ = ["_describe", "make_both", "make_bundle", "onnx"]


@pytest.fixture(scope="session")
def arm():
    try:
        return ArmPython.find()
    except FileNotFoundError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def int8_run(digits_run, tmp_path_factory):
    """A copy of the run of the digits recipe with int8 files, one or more of each runtime."""
    run = tmp_path_factory.mktemp("int8") / digits_run.name
    shutil.copytree(digits_run, run)
    done = run_toolkit("export", "--run", run, "--precision", "int8", "--json")
    assert done.code == 0, done.err
    return run
