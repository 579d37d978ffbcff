"""Texts with a label each: a column of a CSV file, or .txt files in folders of their class."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.steps_text import SPLITS
from toolkit.errors import UsageError
from toolkit.recipe import Array
from toolkit.starter import choices, code, models
from toolkit.starter.draft import Draft
from toolkit.starter.table import Table, missing
from toolkit.starter.wish import Wish

_VOCABULARY = 2000
_LEAST_COUNT = 2  # a word that occurs once teaches nothing
_LONGEST = 256  # words of a text that are looked at
_SHORTEST = 8
_PROSE = 20  # characters of a text, on average; below it, a column holds categories
_CUT = 20_000  # characters of a text that are kept where one is longer than that


@dataclass(frozen=True)
class _Texts:
    """Texts and their labels, and how the recipe reads them.

    Attributes:
        texts: one a sample.
        labels: one a sample.
        reading: the part of the file that reads them, but for what `_draft` fills in.
        values: what `reading` is filled in with.
        notes: what was left out.
    """

    texts: Sequence[str]
    labels: Sequence[str]
    reading: str
    values: dict[str, str]
    notes: tuple[str, ...] = ()


def is_text(table: Table, target: str) -> bool:
    """Whether a table has prose, and no column of numbers besides the target."""
    others = [name for name in table.names if name != target]
    if any(table.numbers(name) is not None for name in others):
        return False
    return any(_mean_length(table, name) >= _PROSE for name in others)


def of_table(wish: Wish, table: Table, target: str) -> Draft:
    """A recipe that tells the column `target` from a column of text.

    Raises:
        UsageError: the file does not allow that.
    """
    table.column(target)
    column = wish.text or _longest(table, target)
    cells, labels = table.column(column), table.column(target)
    if column == target:
        raise UsageError(f"column {column!r} is both text and target; give another --text")
    complete = [
        bool(text) and not missing(label) for text, label in zip(cells, labels, strict=True)
    ]
    notes = [] if wish.text else [f"the text is taken from column {column!r}"]
    if not all(complete):
        first = table.lines[complete.index(False)]
        notes.append(
            f"{code.counted(complete.count(False), 'row')} left out, the first in line {first}: "
            "text or label is missing"
        )
    separator = "" if table.separator == "," else f", delimiter={code.literal(table.separator)}"
    condition = "" if all(complete) else " if row[TEXT].strip() and known(row[TARGET])"
    rows = f"csv.DictReader(file{separator})"
    values = {
        "text": code.literal(column),
        "target": code.literal(target),
        "rows": f"[row for row in {rows}{condition}]" if condition else f"list({rows})",
    }
    pairs = zip(cells, labels, complete, strict=True)
    kept = [(text, label) for text, label, good in pairs if good]
    return _draft(
        wish,
        _Texts([t for t, _ in kept], [n for _, n in kept], "text_table", values, tuple(notes)),
        f"tell {target} from the {column} of {wish.data.name}",
        code.template("known") if condition else "",
    )


def of_folder(wish: Wish) -> Draft:
    """A recipe that tells the folder of a .txt file from what is in it.

    Raises:
        UsageError: there are no such files, or one is not UTF-8.
    """
    files = sorted(file for file in wish.data.glob("*/*.txt") if file.is_file())
    if not files:
        raise UsageError(
            f"{wish.data} holds no .txt files in folders of their class, such as "
            f"{wish.data / 'spam' / '1.txt'}"
        )
    texts = []
    for file in files:
        try:
            texts.append(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} cannot be read: {error}; save it as UTF-8") from error
    labels = [file.parent.name for file in files]
    return _draft(
        wish,
        _Texts(texts, labels, "text_folder", {}),
        f"tell the folders of {wish.data.name} apart by the texts in them",
    )


def _draft(wish: Wish, found: _Texts, task: str, helper: str = "") -> Draft:
    if wish.task == "regression":
        raise UsageError("texts can only be classified; leave out --task regression")
    choices.check_count(str(wish.data), len(found.texts), "texts")
    counts = Counter(found.labels)
    notes = (*found.notes, *choices.check_classes(str(wish.data), counts, "texts"))
    labels = tuple(sorted(counts))
    targets = np.array([labels.index(label) for label in found.labels])
    held_out = choices.hold_out(targets)
    vocabulary, length = _vocabulary(found.texts, held_out)
    if not vocabulary:
        raise UsageError(f"{wish.data}: no word occurs twice in the texts; more text is needed")
    data = code.template(
        found.reading,
        title=code.title(wish.name, task),
        count=code.counted(len(targets), "text"),
        path=wish.path_in_code,
        labels=code.assign("LABELS", labels),
        length=length,
        words=code.words("WORDS", vocabulary, "The most frequent words of the training texts."),
        learnt=code.counted(int((~held_out).sum()), "text"),
        judged=int(held_out.sum()),
        cut=f"[:{_CUT}]" if any(len(text) > _CUT for text in found.texts) else "",
        **found.values,
    )
    facts = {
        "texts": len(targets),
        "classes": {label: counts[label] for label in labels},
        "vocabulary": len(vocabulary),
        "length": length,
    }
    text = _recipe(wish, data, helper, choices.size_of(int((~held_out).sum())))
    return Draft(text, "text", "classification", facts, notes)


def _recipe(wish: Wish, data: str, helper: str, size: choices.Size) -> str:
    built = models.embedding(wish.frameworks)
    recipe = models.recipe(
        wish, size, classes=True, preprocessing=code.template("tokenise"), input_name="text"
    )
    return code.join(data, helper, code.template("hold_out"), *built, recipe)


def _vocabulary(texts: Sequence[str], held_out: Array) -> tuple[list[str], int]:
    """The most frequent words of the training texts, and how many words most texts have."""
    counts, lengths = Counter[str](), []
    for text, judged in zip(texts, held_out, strict=True):
        words = SPLITS["words"].findall(text.lower())
        lengths.append(len(words))
        if not judged:
            counts.update(words)
    frequent = [word for word, count in counts.most_common(_VOCABULARY) if count >= _LEAST_COUNT]
    most = statistics.quantiles(lengths, n=20)[-1]
    return frequent, max(_SHORTEST, min(_LONGEST, 8 * -(-int(most) // 8)))


def _longest(table: Table, target: str) -> str:
    """The column with the longest texts.

    Raises:
        UsageError: there is none but the target.
    """
    others = [name for name in table.names if name != target]
    if not others:
        raise UsageError(f"{table.path} has no column of text besides the target {target!r}")
    return max(others, key=lambda name: _mean_length(table, name))


def _mean_length(table: Table, name: str) -> float:
    return statistics.fmean(len(cell) for cell in table.column(name))
