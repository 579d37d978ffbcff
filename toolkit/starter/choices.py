"""Choices that follow from the number of samples. Pure; the recipes hold the outcome."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.errors import UsageError
from toolkit.recipe import Array

SEED = 0
ONE_IN = 5  # samples that are held out
LEAST = 10
FEW = 10
_RARE = 10
_STEPS = 2000
_MOST_CLASSES = 1000


@dataclass(frozen=True)
class Size:
    """How to train on a number of samples."""

    batch: int
    epochs: int
    hidden: int


def size_of(samples: int) -> Size:
    """Batch, epochs and width for so many training samples: some 2,000 steps, at least 5 epochs."""
    batch = 16 if samples < 500 else 32 if samples < 5_000 else 64 if samples < 50_000 else 256
    steps = -(-samples // batch)
    epochs = min(100, max(5, round(_STEPS / steps)))
    hidden = 32 if samples < 5_000 else 64 if samples < 50_000 else 128
    return Size(batch, epochs, hidden)


def hold_out(targets: Array) -> Array:
    """True for one sample in five; the same function stands in every recipe."""
    order = np.random.default_rng(SEED).permutation(len(targets))
    by_target = order[np.argsort(targets[order], kind="stable")]
    held_out = np.zeros(len(targets), bool)
    held_out[by_target[ONE_IN // 2 :: ONE_IN]] = True
    return held_out


def check_count(where: str, samples: int, word: str) -> None:
    """Refuse too few samples.

    Raises:
        UsageError: there are fewer than LEAST.
    """
    if samples < LEAST:
        raise UsageError(f"{where} has {samples} usable {word}; at least {LEAST} are needed")


def check_classes(where: str, counts: Mapping[str, int], word: str) -> tuple[str, ...]:
    """Notes about classes and how often there are samples of them.

    Raises:
        UsageError: there is one class, too many, or one that has a single sample.
    """
    if len(counts) < 2:
        only = next(iter(counts), "?")
        raise UsageError(f"{where} has one class only, {only!r}; there is nothing to tell apart")
    if len(counts) > _MOST_CLASSES:
        raise UsageError(
            f"{where} has {len(counts)} classes, more than {_MOST_CLASSES}; for numbers to be "
            "predicted give --task regression, otherwise join classes"
        )
    rarest = min(counts, key=lambda name: counts[name])
    if counts[rarest] < 2:
        raise UsageError(
            f"{where}: class {rarest!r} has a single one of the {word}; at least 2 are needed, to "
            "train and to judge; add some, or take the class out"
        )
    notes = []
    if counts[rarest] < FEW:
        notes.append(f"class {rarest!r} has {counts[rarest]} {word}: too few to judge it well")
    if max(counts.values()) > _RARE * counts[rarest]:
        notes.append(
            f"classes are uneven, {counts[rarest]} to {max(counts.values())} {word}: accuracy "
            "says little of the rare ones; see the recipe's field class_weights"
        )
    return tuple(notes)
