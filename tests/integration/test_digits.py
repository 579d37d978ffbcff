"""A real image classifier: trained, exported and proven in both frameworks."""

from pathlib import Path

import numpy as np
import pytest

from edge.answer import answer
from edge.runtime import load
from toolkit.runs import Run


def test_accuracy_is_high_in_both_frameworks(digits_run: Path) -> None:
    for facts in Run(digits_run).facts["frameworks"].values():
        assert facts["val_accuracy"] >= 0.97


def test_exported_files_keep_every_decision(digits_run: Path) -> None:
    verification = Run(digits_run).verification
    assert verification is not None
    assert len(verification["checks"]) == 6
    for check in verification["checks"]:
        assert check["passed"], check
        assert check["kept"] == 1
        assert check["probe"] == 0  # the probe is a picture of a zero


@pytest.mark.parametrize("framework", ["tf", "torch"])
def test_golden_vectors_are_raw_and_reach_every_digit(digits_run: Path, framework: str) -> None:
    golden = Run(digits_run).golden(framework)
    images = golden.inputs["image"]
    assert images.max() == 16  # before preprocessing, which scales to 0..1
    assert len(images) == len(golden.targets) == len(golden.outputs["logits"]) == 360
    assert set(golden.targets.tolist()) == set(range(10))


def test_a_file_alone_answers_raw_images_with_labels(digits_run: Path) -> None:
    golden = Run(digits_run).golden("torch")
    for path in sorted((digits_run / "exports").iterdir()):
        model = load(path)
        answers = answer(model, {"image": golden.inputs["image"][:40]})
        right = np.asarray(answers.answers) == golden.targets[:40]
        assert right.mean() > 0.9
        assert answers.labels is not None
        assert [str(number) for number in answers.answers] == list(answers.labels)
