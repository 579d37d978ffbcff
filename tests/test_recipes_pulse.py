"""The recipe `pulse`, on a pressure that is made here; the real one in test-soak."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, run_toolkit
from toolkit.errors import DataError
from toolkit.recipes.pulse import (
    LIMIT,
    WINDOW,
    data,
    disturbed,
    figures,
    judged,
    main,
    series,
    windows,
)
from toolkit.runs import Run

LEARNT, WHOLE, MARKED = 600, 1000, slice(800, 812)


def pressure() -> tuple[np.ndarray, np.ndarray]:
    """Heartbeats that rise and fall as a sine, with noise in the marked part."""
    steps = np.arange(WHOLE)
    values = 75 + 18 * np.sin(steps * 2 * np.pi / 183)
    marks = np.zeros(WHOLE, int)
    marks[MARKED] = 1
    values[MARKED] += np.random.default_rng(0).normal(0, 8, 12)
    return values, marks


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with files laid out like the archive's."""
    root = tmp_path_factory.mktemp("data")
    (root / "pulse").mkdir()
    values, marks = pressure()
    for part, count in (("TRAIN", LEARNT), ("TEST", WHOLE)):
        rows = [f"{n},{values[n]:.5f},{marks[n]}\n" for n in range(count)]
        name = f"135_UCR_Anomaly_InternalBleeding16_{part}.csv"
        (root / "pulse" / name).write_text("timestamp,value,is_anomaly\n" + "".join(rows))
    return root


@pytest.fixture
def made(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOOLKIT_DATA_DIR", str(place))
    return place


def test_only_normal_windows_are_learnt_and_only_later_ones_judged(made: Path) -> None:
    split, count = data(), LEARNT - WINDOW + 1
    train, validation = split.train, split.validation
    assert train.inputs.shape == (2 * count, WINDOW)
    assert train.weights is not None
    assert train.weights.tolist() == [1] * count + [0] * count
    assert not train.targets.any()
    np.testing.assert_array_equal(train.inputs[:count], windows(series("TRAIN")[0]))
    assert validation.inputs.shape == (WHOLE - LEARNT - WINDOW + 1, WINDOW)
    assert validation.inputs[0, 0] == series("TEST")[0][LEARNT]
    assert validation.targets.sum() == WINDOW + 11  # each window that meets one of 12 values


def test_a_part_of_each_window_is_disturbed(made: Path) -> None:
    normal = windows(series("TRAIN")[0])
    noisy = disturbed(normal)
    assert ((noisy != normal).sum(axis=1) == WINDOW // 4).all()
    np.testing.assert_array_equal(noisy, disturbed(normal))


def test_a_file_that_is_none_of_numbers_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_DATA_DIR", str(tmp_path))
    (tmp_path / "pulse").mkdir()
    name = "135_UCR_Anomaly_InternalBleeding16_TRAIN.csv"
    (tmp_path / "pulse" / name).write_text("timestamp,value,is_anomaly\n0,high,0\n")
    with pytest.raises(DataError, match=f"{name}: .*'toolkit data fetch pulse --force'"):
        series("TRAIN")


def test_from_a_pressure_to_a_stream(made: Path, tmp_path: Path) -> None:
    """One framework: test-soak trains both."""
    done = run_toolkit(
        *("run", "pulse", "--framework", "torch", "--workers", "1", "--epochs", "30"),
        *("--runs-dir", tmp_path, "--target", "onnx", "--precision", "int8", "--json"),
    )
    assert done.code == 0, done.err
    run = Run(Path(done.json["run"]))
    (file,) = (run.path / "exports").iterdir()
    assert "(inside the marks)" in figures(str(file))
    values, _ = judged()
    said = stream(file, series("TEST")[0][LEARNT:])
    assert len(said) == len(values)
    labels = [each["labels"][0] for each in said]
    first = labels.index("anomaly") + LEARNT + WINDOW - 1
    assert MARKED.start <= first < MARKED.stop
    assert labels[-1] == "normal"
    excess = np.array([each["outputs"]["excess"][0][0] for each in said])
    assert [label == "anomaly" for label in labels] == (excess > 0).tolist()


@pytest.mark.parametrize(("given", "words"), [([], "FILE"), (["missing.onnx"], "missing.onnx: No")])
def test_a_file_that_is_not_there_is_told(given, words, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(given)
    assert words in capsys.readouterr().err


@pytest.mark.soak
def test_the_real_pressure_in_both_frameworks_to_a_microcontroller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_DATA_DIR", str(tmp_path))
    assert run_toolkit("data", "fetch", "pulse").code == 0
    precisions = ("--precision", "fp32", "--precision", "dynamic", "--precision", "int8")
    runs = ("--runs-dir", tmp_path / "runs")
    done = run_toolkit("run", "pulse", "--workers", "2", *runs, *precisions, "--json")
    assert done.code == 0, done.err
    run = Run(Path(done.json["run"]))
    for file in (run.path / "exports").iterdir():
        line = figures(str(file))
        assert "(inside the marks)" in line
        assert line.endswith(" 0 of 6163 others")
        assert float(line.split()[2]) < LIMIT / 2
    micro = run_toolkit(
        *("export", "--run", run.name, *runs, "--target", "micro", "--precision", "int8", "--json")
    )
    assert micro.code == 0, micro.err


def stream(file: Path, values: np.ndarray) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-m", "edge", "watch", str(file), "-", "--hop", "1"],
        input="".join(f"{value}\n" for value in values.tolist()),
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(each) for each in done.stdout.splitlines()]
