"""Answers of the trained model and of exported files compared, sample by sample. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge.decision import decide
from edge.errors import EdgeError
from toolkit.artifacts import Golden
from toolkit.card import Card
from toolkit.data.pictures import images_of, png
from toolkit.recipe import Array

SHOWN = 12  # changed samples of a group of files, at most
CLASSES = 20  # more of them make no matrix that can be read
_NUMBERS = 8
_LETTERS = 120

Matrix = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Sample:
    """A golden sample whose answer changed.

    Attributes:
        index: which of the golden samples.
        target: what the data says, or '' where nobody knows.
        before: the trained model's answer.
        after: the file's.
        picture: a PNG file, or b'' where the sample is no image.
        told: the raw input as text where it is no image.
        series: the raw input where it is one of many numbers.
    """

    index: int
    target: str
    before: str
    after: str
    picture: bytes = b""
    told: str = ""
    series: tuple[float, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Files of one framework that give the same answers, and what changed from the model's.

    Attributes:
        files: their names.
        count: of golden samples.
        changed: of them, how many are answered otherwise.
        right: how many the trained model and the files answer as the data says, or None.
        before: the trained model's confusion matrix: rows are what the data says (or, where nobody
            knows, what the model answers), columns what is answered; () where there is none.
        after: the files'.
        samples: some that changed, those that got wrong first.
    """

    framework: str
    files: tuple[str, ...]
    count: int
    changed: int
    right: tuple[int, int] | None
    before: Matrix
    after: Matrix
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Reference:
    """What files are held against.

    Attributes:
        golden: samples and the trained model's outputs.
        card: says how outputs are read.
        known: whether the golden targets are what the data says.
    """

    golden: Golden
    card: Card
    known: bool


def compare(
    framework: str, reference: Reference, outputs: Mapping[str, Array]
) -> tuple[Comparison, ...]:
    """Compare files' first outputs, by file name, with the trained model's.

    Files that decide alike share a comparison. Files that answer nonsense are left out.
    """
    card, golden = reference.card, reference.golden
    try:
        before = decide(next(iter(golden.outputs.values())), card.decision)
    except (EdgeError, StopIteration):
        return ()
    groups: dict[bytes, tuple[Array, list[str]]] = {}
    for file, output in outputs.items():
        try:
            after = decide(output, card.decision)
        except EdgeError:
            continue
        if after.shape == before.shape:
            key = _changes(before, after, card).tobytes() + (
                after.tobytes() if card.decision != "value" else b""
            )
            groups.setdefault(key, (after, []))[1].append(file)
    return tuple(
        _comparison(framework, tuple(files), reference, before, after)
        for after, files in groups.values()
    )


def _changes(before: Array, after: Array, card: Card) -> Array:
    """Whether each sample's answer changed, [n]."""
    if card.decision == "value":
        apart = np.abs(after.astype(np.float64) - before.astype(np.float64)) > card.tolerance
    else:
        apart = np.asarray(before != after)
    return np.asarray(apart.reshape(len(apart), -1).any(axis=1))


def _comparison(
    framework: str,
    files: tuple[str, ...],
    reference: Reference,
    before: Array,
    after: Array,
) -> Comparison:
    card, count = reference.card, len(before)
    changed = np.flatnonzero(_changes(before, after, card))
    targets = _targets(reference, before)
    classes, right = _classes(reference), None
    matrices: tuple[Matrix, Matrix] = ((), ())
    if targets is not None:
        right = int((before == targets).sum()), int((after == targets).sum())
        worse = (before == targets) & (after != targets)
        changed = changed[np.argsort(~worse[changed], kind="stable")]
    if classes and before.ndim == 1:
        rows = before if targets is None else targets
        matrices = _matrix(rows, before, classes), _matrix(rows, after, classes)
    chosen = changed[:SHOWN]
    return Comparison(
        framework,
        files,
        count,
        len(changed),
        right,
        *matrices,
        _samples(reference, chosen, targets, before, after),
    )


def _targets(reference: Reference, before: Array) -> Array | None:
    """Class numbers that the data says, where they are known and fit the answers."""
    targets = reference.golden.targets
    if not reference.known or reference.card.decision == "value" or targets.size != before.size:
        return None
    found: Array = np.rint(targets.reshape(before.shape)).astype(np.int64)
    return found


def _classes(reference: Reference) -> int:
    """How many classes there are; 0 where there are none, or too many to draw."""
    match reference.card.decision:
        case "argmax":
            count = next(iter(reference.golden.outputs.values())).shape[-1]
        case "sign":
            count = 2
        case _:
            return 0
    return count if count <= CLASSES else 0


def _matrix(rows: Array, columns: Array, classes: int) -> Matrix:
    counts = np.zeros((classes, classes), np.int64)
    inside = (rows >= 0) & (rows < classes)
    np.add.at(counts, (rows[inside], columns[inside]), 1)
    return tuple(map(tuple, counts.tolist()))


def _samples(
    reference: Reference, chosen: Array, targets: Array | None, before: Array, after: Array
) -> tuple[Sample, ...]:
    card, inputs = reference.card, reference.golden.inputs
    first = next(iter(inputs.values()))
    pictures = images_of(first)
    made = []
    for index in chosen.tolist():
        target = "" if targets is None else named(targets[index], card.labels)
        words = (target, named(before[index], card.labels), named(after[index], card.labels))
        if pictures is not None:
            made.append(Sample(index, *words, picture=png(pictures[index])))
        else:
            series = _series(first[index]) if len(inputs) == 1 else ()
            told = "" if series else _told({name: a[index] for name, a in inputs.items()})
            made.append(Sample(index, *words, told=told, series=series))
    return tuple(made)


def named(answer: Array | int, labels: Sequence[str] | None) -> str:
    """A class's label, or the number."""
    array = np.asarray(answer)
    if array.ndim:
        return ", ".join(f"{value:.4g}" for value in array.reshape(-1)[:4].tolist())
    value = array.item()
    if isinstance(value, int) and labels is not None and 0 <= value < len(labels):
        return labels[value]
    return f"{value:.6g}"


def _series(value: Array) -> tuple[float, ...]:
    """A sample of many numbers in a row, which is drawn better than told."""
    array = np.asarray(value)
    if (
        array.dtype.kind not in "uif"
        or array.size <= 2 * _NUMBERS
        or max(array.shape) != array.size
    ):
        return ()
    flat = np.nan_to_num(array.reshape(-1).astype(np.float64))
    return tuple(flat[:: -(-flat.size // 256)].tolist())


def _told(inputs: Mapping[str, Array]) -> str:
    """Raw values of a sample as text, cut where they are many."""
    parts = []
    for name, value in inputs.items():
        array = np.asarray(value)
        if array.dtype.kind in "OUS":
            text = str(array.reshape(-1)[0])
            told = text if len(text) <= _LETTERS else f"{text[:_LETTERS]}..."
        else:
            flat = array.reshape(-1)
            numbers = (f"{number:.4g}" for number in flat[:_NUMBERS].tolist())
            told = ", ".join(numbers) + (f" ... ({flat.size})" if flat.size > _NUMBERS else "")
        parts.append(told if len(inputs) == 1 else f"{name}: {told}")
    return "; ".join(parts)
