"""The command line in this process, which costs no start, and a run made by hand."""

import os

import numpy as np
import pytest

from tests.conftest import Result
from tests.report.conftest import classifier, make_run
from toolkit import cli


@pytest.fixture
def toolkit(monkeypatch, tmp_path, capsys):
    """Call the command line in an empty folder; no TOOLKIT_ variable is set."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TOOLKIT_")]:
        monkeypatch.delenv(name)

    def call(*arguments):
        code = 0
        try:
            cli.main([str(each) for each in arguments])
        except SystemExit as error:
            code = error.code or 0
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call


@pytest.fixture
def made(tmp_path):
    """A run of both frameworks in ./runs, with two ONNX files each."""
    return make_run(tmp_path / "runs")


@pytest.fixture
def net(tmp_path):
    """A model from elsewhere, ./net.onnx, with ./samples.npz."""
    random = np.random.default_rng(0)
    (tmp_path / "net.onnx").write_bytes(classifier(random.normal(size=(16, 3))))
    images = random.random((40, 4, 4, 1)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", image=images)
    return tmp_path / "net.onnx"
