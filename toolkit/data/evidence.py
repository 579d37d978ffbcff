"""The samples that an exported file is calibrated on and judged by.

A trained run has them from its recipe, a model from elsewhere from the file that came with it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.artifacts import from_npz, to_npz
from toolkit.card import Card
from toolkit.data.load import Unread, load
from toolkit.data.probe import preprocess
from toolkit.data.samples import Samples, SampleStore
from toolkit.errors import DataError, UsageError
from toolkit.recipe import Array
from toolkit.runs import Run

LEAST = 100
"""Fewest samples that activations' ranges are taken from."""

SAMPLES_FILE = "samples.npz"
_COUNT = 256  # of calibration samples: ranges change little beyond, and time grows with them


@dataclass(frozen=True)
class Calibration:
    """Training samples that static quantisation sees.

    Attributes:
        inputs: preprocessed, by name, each [n, ...].
        ids: which of the training samples they are, [n].
        sha256: of names, ids and inputs.
    """

    inputs: Mapping[str, Array]
    ids: Array
    sha256: str


@dataclass(frozen=True)
class Evidence:
    """What is known beside the golden vectors.

    Attributes:
        train: samples to calibrate on, or None.
        validation: samples to judge by, or None.
        labelled: whether the targets of `train` are known.
    """

    train: SampleStore | None
    validation: SampleStore | None
    labelled: bool = True


def evidence_of(run: Run) -> Evidence:
    """The samples of a run, preprocessed.

    Raises:
        DataError: they are not those that were trained on, or are gone.
    """
    if "recipe" not in run.facts:
        return _given(run)
    recorded = run.facts.get("data", {})
    dataset = load(run.source.load())
    if isinstance(dataset, Unread):
        dataset = dataset.again(recorded.get("records", {}))
    if dataset.sha256 != recorded.get("sha256"):
        raise DataError(
            f"the data of recipe {run.card.name!r} are not those that run {run.name} was trained "
            "on (their SHA-256 differs); restore them, or train again"
        )
    return Evidence(dataset.train, dataset.validation)


def calibrate(evidence: Evidence, card: Card, seed: int = 0) -> Calibration:
    """Choose calibration samples: as many of each class, or at random where there are none.

    Args:
        evidence: has the samples to choose from.
        card: decides whether targets are classes, and how many there must be.
        seed: of the choice; the same seed gives the same samples.

    Raises:
        DataError: there are none or fewer than `LEAST`, only one class, or a class of the labels
            is missing.
    """
    train = evidence.train
    if train is None:
        raise DataError(
            f"static quantisation of {card.name!r} needs samples to take ranges from; give them "
            "with --samples FILE.npz, or use --precision dynamic or fp16"
        )
    if len(train) < LEAST:
        raise DataError(
            f"static quantisation needs at least {LEAST} samples to take ranges from, and model "
            f"{card.name!r} has {len(train)}; use --precision dynamic or fp16, or give more data"
        )
    random = np.random.default_rng(seed)
    if card.decision == "argmax" and evidence.labelled:
        targets = train.take(np.arange(len(train))).targets.reshape(len(train), -1)[:, 0]
        ids = stratified(targets, _COUNT, random, card.labels)
    else:
        ids = np.sort(random.choice(len(train), min(_COUNT, len(train)), replace=False))
    inputs = dict(train.take(ids).inputs)
    return Calibration(inputs, ids, _hash(inputs, ids))


def stratified(
    targets: Array, count: int, random: np.random.Generator, labels: Sequence[str] | None = None
) -> Array:
    """Ids of about `count` samples, as many of each class as it has or as fit; sorted.

    Raises:
        DataError: there is one class only, or one of `labels` has no sample.
    """
    classes = np.unique(targets)
    if labels is not None and len(missing := set(range(len(labels))) - set(classes.tolist())):
        named = ", ".join(repr(labels[index]) for index in sorted(missing)[:5])
        raise DataError(f"the calibration samples have none of the class {named}; add some")
    if len(classes) < 2:
        raise DataError(
            f"all {len(targets)} calibration samples are of class {classes[0]}; ranges taken from "
            "one class fit no other: give samples of every class"
        )
    chosen: list[Array] = []
    left, groups = count, sorted((np.flatnonzero(targets == c) for c in classes), key=len)
    for index, group in enumerate(groups):  # the rarest first: what they lack goes to the others
        share = max(1, left // (len(groups) - index))
        chosen.append(random.choice(group, min(share, len(group)), replace=False))
        left -= len(chosen[-1])
    return np.sort(np.concatenate(chosen))


def to_bytes(inputs: Mapping[str, Array], targets: Array | None) -> bytes:
    """Serialise raw samples of a model from elsewhere as .npz without pickle."""
    arrays = {f"input.{name}": array for name, array in inputs.items()}
    if targets is not None:
        arrays["targets"] = targets
    return to_npz(arrays)


def _given(run: Run) -> Evidence:
    """Every second sample to calibrate on, the others to judge by."""
    if not (run.path / SAMPLES_FILE).is_file():
        return Evidence(None, None)
    try:
        content = from_npz(run.read(SAMPLES_FILE))
    except Exception as error:
        raise UsageError(f"{run.path / SAMPLES_FILE} is damaged: {error}; adopt again") from error
    targets = content.pop("targets", None)
    raw = {name.removeprefix("input."): array for name, array in content.items()}
    ready = preprocess(run.card, raw)
    count = len(next(iter(ready.values())))
    known = np.zeros(count, np.int64) if targets is None else targets
    samples = Samples(ready, known)
    train = samples.take(slice(0, None, 2))
    if targets is None:
        return Evidence(train, None, labelled=False)
    return Evidence(train, samples.take(slice(1, None, 2)))


def _hash(inputs: Mapping[str, Array], ids: Array) -> str:
    digest = hashlib.sha256(ids.astype("<i8").tobytes())
    for name, array in inputs.items():
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
