"""The recipe `vowels`, on utterances that are made here; the real ones in test-soak."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, run_toolkit
from toolkit.recipes.vowels import COEFFICIENTS, SPEAKERS, STEPS, UTTERANCE, data
from toolkit.runs import Run

HEAD = "@timeStamps false\n@classLabel true 1 2 3 4 5 6 7 8 9\n@data\n"
FLOOR = 0.95  # of accuracy, whatever the seed: see docs/vowels.md


def utterance(speaker: int, chance: np.random.Generator) -> np.ndarray:
    """[COEFFICIENTS, 7 to 29]: each speaker has a level of their own; the third has UTTERANCE's."""
    steps = int(chance.integers(7, STEPS + 1))
    if speaker == 2:
        level = np.mean(UTTERANCE, axis=0)
    else:
        level = np.random.default_rng(speaker).uniform(-1, 1, COEFFICIENTS)
    return level[:, None] + chance.normal(0, 0.05, (COEFFICIENTS, steps))


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with files laid out like JapaneseVowels's."""
    root, chance = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (root / "vowels").mkdir()
    for split in ("TRAIN", "TEST"):
        lines = []
        for number in range(108):
            rows = utterance(number % 9, chance).round(4).tolist()
            channels = ":".join(",".join(map(str, row)) for row in rows)
            lines.append(f"{channels}:{number % 9 + 1}\n")
        (root / "vowels" / f"JapaneseVowels_{split}.ts").write_text(HEAD + "".join(lines))
    return root


def test_utterances_are_filled_before_their_beginning(
    utterances: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_DATA_DIR", str(utterances))
    split = data().train
    assert split.inputs.shape == (108, STEPS, COEFFICIENTS)
    assert split.targets.tolist() == [number % 9 for number in range(108)]
    spoken = (split.inputs != 0).any(axis=2)
    assert spoken[:, -7:].all()
    assert (np.diff(spoken.astype(int), axis=1) >= 0).all()  # nothing is filled behind
    assert set(spoken.sum(axis=1)) <= set(range(7, STEPS + 1))


def test_from_utterances_to_a_device(utterances: Path, tmp_path: Path) -> None:
    """One framework: test-soak trains both, and tests/export/test_micro.py compiles an LSTM."""
    done = run_toolkit(
        *("run", "vowels", "--framework", "torch", "--workers", "1", "--epochs", "12"),
        *("--runs-dir", tmp_path, "--target", "onnx", "--precision", "int8", "--json"),
        TOOLKIT_DATA_DIR=str(utterances),
    )
    assert done.code == 0, done.err
    run = Run(Path(done.json["run"]))
    assert run.verification["checks"][0]["after"] == 1
    (file,) = (run.path / "exports").iterdir()
    chance = np.random.default_rng(1)
    for speaker in (0, 5):  # as long as they are: the file itself fills them up
        spoken = utterance(speaker, chance).T.tolist()
        assert device(file, json.dumps(spoken)) == [SPEAKERS[speaker]]


@pytest.mark.soak
def test_the_real_utterances_in_both_frameworks_to_a_microcontroller(tmp_path: Path) -> None:
    place = {"TOOLKIT_DATA_DIR": str(tmp_path)}
    assert run_toolkit("data", "fetch", "vowels", **place).code == 0
    precisions = ("--precision", "fp32", "--precision", "fp16", "--precision", "dynamic")
    done = run_toolkit(
        *("run", "vowels", "--workers", "2", "--runs-dir", tmp_path / "runs", "--json"),
        *(*precisions, "--precision", "int8"),
        **place,
    )
    assert done.code == 0, done.err
    run = Run(Path(done.json["run"]))
    assert min(check["after"] for check in run.verification["checks"]) > FLOOR
    micro = run_toolkit(
        *("export", "--run", run.name, "--runs-dir", tmp_path / "runs", "--target", "micro"),
        *("--precision", "fp32", "--precision", "int8", "--json"),
        **place,
    )
    assert micro.code == 0, micro.err
    assert len(list((run.path / "exports").glob("*-micro"))) == 4


def device(file: Path, sample: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "edge", "run", str(file), "--input", sample, "--json"],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    labels: list[str] = json.loads(done.stdout)["labels"]
    return labels
