"""The recipe `motion`, on recordings that are made here; the real ones in test-soak."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, run_toolkit
from toolkit.recipes.motion import AXES, LABELS, WINDOW, data
from toolkit.runs import Run

LENGTH = 100  # of 8 recordings: as many windows as static quantisation needs
HEAD = f"@timeStamps false\n@classLabel true {' '.join(LABELS)}\n@data\n"


def recording(activity: int, chance: np.random.Generator) -> np.ndarray:
    """[AXES, LENGTH]: each activity has a frequency and a strength of its own."""
    phase = chance.uniform(0, 2 * np.pi, (AXES, 1))
    wave = np.sin(np.arange(LENGTH) * activity * 0.6 + phase)
    return 5 * activity * wave + chance.normal(0, 0.2, (AXES, LENGTH))


def line(values: np.ndarray, label: str) -> str:
    return ":".join([*(",".join(map(str, axis)) for axis in values.tolist()), label]) + "\n"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with files laid out like BasicMotions's, two recordings an activity."""
    root, chance = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (root / "motion").mkdir()
    for split in ("TRAIN", "TEST"):
        cases = [line(recording(n % 4, chance), LABELS[n % 4]) for n in range(8)]
        (root / "motion" / f"BasicMotions_{split}.ts").write_text(HEAD + "".join(cases))
    return root


def test_windows_are_cut_from_their_own_split(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_DATA_DIR", str(recordings))
    made = data()
    assert made.train.inputs.shape == (8 * 13, WINDOW, AXES)
    assert made.validation.inputs.shape == (8 * 7, WINDOW, AXES)
    assert made.train.targets.tolist() == [n % 4 for n in range(8) for _ in range(13)]
    learnt = {sample.tobytes() for sample in made.train.inputs.reshape(-1, AXES)}
    judged = {sample.tobytes() for sample in made.validation.inputs.reshape(-1, AXES)}
    assert not learnt & judged
    # the second window begins one hop later, and has time before axes
    np.testing.assert_array_equal(made.train.inputs[1, :-5], made.train.inputs[0, 5:])


def test_from_recordings_to_a_stream(recordings: Path, tmp_path: Path) -> None:
    """One framework: the layers of the other are the same, and test-soak trains both."""
    place = {"TOOLKIT_DATA_DIR": str(recordings)}
    done = run_toolkit(
        *("run", "motion", "--framework", "torch", "--workers", "1", "--runs-dir", tmp_path),
        *("--target", "onnx", "--precision", "int8", "--json"),
        **place,
    )
    assert done.code == 0, done.err
    run = Run(Path(done.json["run"]))
    assert run.verification["checks"][0]["after"] == 1
    bundled = run_toolkit(
        *("bundle", "--run", run.name, "--runs-dir", tmp_path, "--unsigned"),
        *("--output", tmp_path / "motion.edge"),
        **place,
    )
    assert bundled.code == 0, bundled.err
    walk = np.concatenate([recording(n, np.random.default_rng(1)) for n in (0, 2)], axis=1)
    said = stream(tmp_path / "motion.edge", walk)
    assert [each["source"] for each in said] == list(range(WINDOW, 2 * LENGTH + 1, 10))
    labels = [each["labels"] for each in said]
    assert labels[:7] == [["Standing"]] * 7  # before the change
    assert labels[-7:] == [["Walking"]] * 7  # a window after it


@pytest.mark.soak
def test_the_real_recordings_in_both_frameworks(tmp_path: Path) -> None:
    place = {"TOOLKIT_DATA_DIR": str(tmp_path)}
    assert run_toolkit("data", "fetch", "motion", **place).code == 0
    done = run_toolkit(
        *("run", "motion", "--workers", "2", "--runs-dir", tmp_path / "runs", "--json"),
        *("--precision", "fp32", "--precision", "fp16"),
        *("--precision", "dynamic", "--precision", "int8"),
        **place,
    )
    assert done.code == 0, done.err
    checks = Run(Path(done.json["run"])).verification["checks"]
    assert min(check["after"] for check in checks) > FLOOR


FLOOR = 0.97  # of accuracy, whatever the seed: see docs/motion.md


def stream(bundle: Path, values: np.ndarray) -> list[dict]:
    lines = "".join(json.dumps(sample) + "\n" for sample in values.T.tolist())
    done = subprocess.run(
        [sys.executable, "-m", "edge", "watch", bundle, "-", "--hop", "10", "--allow-unsigned"],
        cwd=ROOT, env=os.environ, input=lines, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(each) for each in done.stdout.splitlines()]
