"""Calibration samples: of every class, the same each time, and refused where they prove little."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.card import Card
from toolkit.data.evidence import LEAST, Evidence, calibrate, evidence_of, stratified
from toolkit.data.samples import Samples
from toolkit.errors import DataError
from toolkit.runs import Run

DIGITS = Card("digits", decision="argmax", labels=("a", "b", "c"))


def samples(targets) -> Samples:
    x = np.arange(len(targets), dtype=np.float32)[:, None]
    return Samples({"x": x}, np.asarray(targets))


def evidence(targets) -> Evidence:
    return Evidence(samples(targets), None)


@given(st.lists(st.integers(1, 400), min_size=2, max_size=6), st.integers(20, 300))
def test_strata_are_even_and_what_a_rare_class_lacks_goes_to_the_others(sizes, count):
    targets = np.repeat(np.arange(len(sizes)), sizes)
    ids = stratified(targets, count, np.random.default_rng(0))
    assert len(set(ids.tolist())) == len(ids)
    assert (np.diff(ids) > 0).all()
    assert len(ids) == min(count, sum(sizes))
    taken = np.bincount(targets[ids], minlength=len(sizes))
    assert (taken > 0).all()
    whole = taken == np.array(sizes)  # who gave less than the most gave all it had
    assert (whole | (taken >= taken.max() - 1)).all()


def test_the_same_samples_each_time_and_their_hash_says_which():
    targets = np.arange(600) % 3
    one, other = (calibrate(evidence(targets), DIGITS) for _ in range(2))
    np.testing.assert_array_equal(one.ids, other.ids)
    assert one.sha256 == other.sha256
    np.testing.assert_array_equal(one.inputs["x"][:, 0], one.ids)
    assert calibrate(evidence(targets), DIGITS, seed=1).sha256 != one.sha256


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (np.arange(LEAST - 1) % 3, "at least 100 samples.*has 99.*--precision dynamic"),
        (np.zeros(200, int), "none of the class 'b', 'c'"),
        (np.arange(200) % 2, "none of the class 'c'"),
    ],
)
def test_what_proves_little_is_refused(targets, words):
    with pytest.raises(DataError, match=words):
        calibrate(evidence(targets), DIGITS)


def test_one_class_is_refused_without_labels_too():
    with pytest.raises(DataError, match="all 200 calibration samples are of class 4"):
        calibrate(evidence(np.full(200, 4)), Card("digits", decision="argmax"))


def test_values_need_no_classes():
    chosen = calibrate(evidence(np.zeros(500, np.float32)), Card("values"))
    assert len(chosen.ids) == 256
    assert (np.diff(chosen.ids) > 0).all()


def test_no_samples_at_all_names_the_option():
    with pytest.raises(DataError, match=r"--samples FILE\.npz"):
        calibrate(Evidence(None, None), DIGITS)


def test_a_run_gives_its_recipes_data_and_refuses_others(digits_run):
    run = Run(digits_run)
    found = evidence_of(run)
    assert (len(found.train), len(found.validation)) == (1437, 360)
    assert found.train.take([0]).inputs["image"].max() <= 1  # preprocessed
    text = (digits_run / "run.json").read_text()
    changed = text.replace(run.facts["data"]["sha256"], "0" * 64)
    try:
        (digits_run / "run.json").write_text(changed)
        with pytest.raises(DataError, match="are not those that run digits-"):
            evidence_of(run)
    finally:
        (digits_run / "run.json").write_text(text)
