"""`toolkit run`: the smallest good precision of what was trained, and samples that are too few."""

import contextlib
from pathlib import Path

import pytest

from tests.cli.test_json import check
from toolkit.runs import Run
from toolkit.train import cluster

STREAM = """
import numpy as np
from toolkit import Data, Recipe, Split, Stream

def read():
    import ray.data
    return ray.data.from_numpy(np.arange(20, dtype=np.float32)[:, None]).map_batches(
        lambda batch: {"x": batch["data"], "y": 2 * batch["data"]})

def data():
    x = np.arange(20, dtype=np.float32)
    return Data(Stream(read, inputs="x", target="y"), Split(x, 2 * x))

recipe = Recipe("few", data, torch=object)
"""


@pytest.fixture
def run(toolkit, ray_cluster, tmp_path, monkeypatch):
    """Call `toolkit run` on one PyTorch worker of the tests' cluster."""
    monkeypatch.setattr(cluster, "connect", lambda *_: contextlib.nullcontext())
    monkeypatch.setenv("TOOLKIT_CACHE_DIR", str(tmp_path / "cache"))
    given = ("--framework", "torch", "--target", "onnx", "--workers", "1")
    return lambda *arguments: toolkit("run", *arguments, *given)


def test_the_smallest_precision_that_passes_stays(run):
    result = run("linear", "--precision", "best", "--precision", "fp32", "--json")
    assert result.code == 0, result.err
    check("run", result.json)
    *tried, chosen = result.json["ladder"]
    assert [rung["precision"] for rung in tried][:2] == ["int8", "int8-float"]
    assert all("at least 100 samples" in rung["reason"] for rung in tried[:2])
    assert (chosen["reason"], [chosen["export"]]) == ("", result.json["exports"])
    done = Run(Path(result.json["run"]))
    assert [path.name for path in (done.path / "exports").iterdir()] == [
        Path(chosen["export"]["file"]).name
    ]
    assert done.verification["passed"]
    assert done.verification["checks"] == result.json["checks"] == chosen["checks"]


def test_where_no_precision_is_good_enough_the_command_fails(run, tmp_path):
    result = run("linear", "--precision", "best", "--epochs", "1", "--max-drop", "0.1")
    assert result.code == 1
    assert "error: no precision is good enough: torch to onnx: the probe answers" in result.err
    (done,) = map(Run, (tmp_path / "runs").iterdir())
    assert (done.facts["status"], done.exports) == ("trained", [])
    assert done.facts["ladder"][-1]["precision"] == "fp32"


def test_streams_with_too_few_samples_are_refused_before_the_training(run, tmp_path):
    (tmp_path / "few.py").write_text(STREAM)
    asked = ("few.py", "--precision", "int8")
    assert run(*asked, "--dry-run").code == 0  # they are counted once they are read
    result = run(*asked)
    assert (result.code, "model 'few' has 20" in result.err) == (2, True), result.err
    assert not (tmp_path / "runs").exists()
