"""The recipe `spam`, on a small mailbox that is made here; the real one in test-soak."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_toolkit
from toolkit.runs import Run

SPAM = ("click", "order", "free", "money", "report", "guaranteed", "earn", "rich", "now")
HAM = ("kernel", "patch", "list", "wrote", "python", "meeting", "thanks", "server", "bug")
FOLDERS = {"easy-ham-1": 150, "spam-1": 50, "hard-ham-1": 40, "easy-ham-2": 40, "spam-2": 40}


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with mails laid out like SpamAssassin's."""
    root, chance = tmp_path_factory.mktemp("data"), random.Random(0)
    for name, count in FOLDERS.items():
        folder = root / "spam" / name
        folder.mkdir(parents=True)
        words = SPAM if name.startswith("spam") else HAM
        for number in range(count):
            body = " ".join(chance.choices(words, k=40))
            kind = chance.choice(["plain", "html"])
            text = f"<p>{body}</p>" if kind == "html" else body
            subject = " ".join(chance.choices(words, k=3))
            (folder / f"{number:05}.txt").write_text(
                f"From: a@example.org\nSubject: {subject}\nContent-Type: text/{kind}\n\n{text}\n"
            )
    return root


def test_from_mails_to_a_device(mailbox: Path, tmp_path: Path) -> None:
    """One framework: the way is the same, and tests/integration/test_text.py goes both."""
    place = {"TOOLKIT_DATA_DIR": str(mailbox)}
    done = run_toolkit(
        *("run", "spam", "--framework", "torch", "--workers", "1", "--epochs", "30"),
        *("--runs-dir", tmp_path / "runs"),
        *("--target", "onnx", "--precision", "fp32", "--json"),
        **place,
    )
    assert done.code == 0, done.err
    run = Run(Path(done.json["run"]))
    assert run.verification["checks"][0]["after"] == 1
    bundled = run_toolkit(
        *("bundle", "--run", run.name, "--runs-dir", tmp_path / "runs", "--unsigned"),
        *("--output", tmp_path / "spam.edge"),
        **place,
    )
    assert bundled.code == 0, bundled.err
    (tmp_path / "long.json").write_text(json.dumps(["meeting about the kernel\n" * 5000]))
    assert edge(tmp_path / "spam.edge", "--input", "Free money\n\nclick and earn") == ["spam"]
    assert edge(tmp_path / "spam.edge", "--input", tmp_path / "long.json") == ["ham"]


@pytest.mark.soak
def test_the_real_mails_in_both_frameworks(tmp_path: Path) -> None:
    place = {"TOOLKIT_DATA_DIR": str(tmp_path)}
    assert run_toolkit("data", "fetch", "spam", **place).code == 0
    done = run_toolkit(
        *("run", "spam", "--workers", "2", "--runs-dir", tmp_path / "runs", "--json"),
        *("--precision", "fp32", "--precision", "dynamic", "--precision", "int8"),
        **place,
    )
    assert done.code == 0, done.err
    checks = Run(Path(done.json["run"])).verification["checks"]
    assert min(check["after"] for check in checks) > FLOOR


FLOOR = 0.975  # of accuracy, whatever the seed and the processor: see docs/spam.md


def edge(*arguments: str | Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "edge", "run", *map(str, arguments), "--json", "--allow-unsigned"],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["labels"]
