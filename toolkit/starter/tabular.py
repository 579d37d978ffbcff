"""Rows of numbers in a CSV file: which columns are inputs, and what the target asks for."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from toolkit.errors import UsageError
from toolkit.recipe import Array
from toolkit.starter import choices, code, models
from toolkit.starter.draft import Draft
from toolkit.starter.table import MISSING, Table, missing
from toolkit.starter.wish import Wish

_MOSTLY = 0.2  # share of missing cells above which a column is left out
_IDENTIFIERS = ("", "id", "index", "row", "no", "nr", "number", "unnamed: 0")
_MOST_CLASSES = 20  # of a column of whole numbers; above it, they are quantities


@dataclass(frozen=True)
class Rows:
    """What is used of a table.

    Attributes:
        features: column [n] by name, of the rows that are complete.
        targets: class numbers or values [n] of these rows.
        labels: class names, or () for regression.
        held_out: True for the rows that are not trained on.
        dropped: rows that lack a cell.
        notes: what was left out.
    """

    features: dict[str, Array]
    targets: Array
    labels: tuple[str, ...]
    held_out: Array
    dropped: int
    notes: tuple[str, ...]


def survey(wish: Wish, table: Table, target: str) -> Draft:
    """Write a recipe that predicts the column `target` from the numeric columns.

    Raises:
        UsageError: the file does not allow that; names line and column.
    """
    rows = _usable(wish, table, target)
    return Draft(
        text=_recipe(wish, table, target, rows),
        kind="csv",
        task="classification" if rows.labels else "regression",
        facts={
            "rows": len(rows.targets),
            "dropped": rows.dropped,
            "features": list(rows.features),
            "target": target,
            "classes": _counts(rows) if rows.labels else None,
        },
        notes=rows.notes,
    )


def _usable(wish: Wish, table: Table, target: str) -> Rows:
    columns, notes = _features(table, target)
    if not columns:
        left_out = "".join(f"\n  {note}" for note in notes)
        raise UsageError(
            f"{table.path} has no column of numbers besides the target {target!r}; for a column "
            f"of text give --kind text{left_out}"
        )
    cells = table.column(target)
    complete = np.array([not missing(cell) for cell in cells])
    for values in columns.values():
        complete &= ~np.isnan(values)
    dropped = int((~complete).sum())
    if dropped:
        first = table.lines[int(np.argmin(complete))]
        notes.append(
            f"{code.counted(dropped, 'row')} of {len(cells):,} left out, the first in line "
            f"{first}: a cell is missing"
        )
    where = f"{table.path}, column {target!r}"
    choices.check_count(where, len(cells) - dropped, "rows")
    kept = [cell for cell, good in zip(cells, complete, strict=True) if good]
    targets, labels = _targets(wish, table, target, kept, complete)
    if labels:
        counts = Counter(labels[number] for number in targets)
        notes += choices.check_classes(where, counts, "rows")
    features = {name: values[complete] for name, values in columns.items()}
    held_out = choices.hold_out(targets)
    return Rows(features, targets, labels, held_out, dropped, tuple(notes))


def _features(table: Table, target: str) -> tuple[dict[str, Array], list[str]]:
    """Columns to learn from, and why the others are left out."""
    found, notes = dict[str, Array](), list[str]()
    table.column(target)
    for name in table.names:
        if name == target:
            continue
        numbers = table.numbers(name)
        values = None if numbers is None else np.array(numbers, np.float32)
        reason = "holds text" if values is None else _unfit(name, values)
        if reason:
            notes.append(f"column {name!r} left out: it {reason}")
        elif values is not None:
            found[name] = values
    return found, notes


def _unfit(name: str, values: Array) -> str:
    """Why a column of numbers is no input, or ''."""
    gone = float(np.isnan(values).mean())
    if gone > _MOSTLY:
        return f"is missing in {gone:.0%} of the rows"
    given = values[~np.isnan(values)]
    if (given == given[0]).all():
        return f"is {given[0]:g} in every row"
    named = name.strip().lower()
    if (named in _IDENTIFIERS or named.endswith(("_id", " id"))) and _are_distinct(given):
        return "numbers the rows"
    return ""


def _are_distinct(values: Array) -> bool:
    return len(np.unique(values)) == len(values) and bool((values == np.round(values)).all())


def _targets(
    wish: Wish, table: Table, target: str, cells: list[str], complete: Array
) -> tuple[Array, tuple[str, ...]]:
    """Class numbers and class names, or values and ()."""
    try:
        numbers = table.numbers(target)
    except UsageError:
        if wish.task == "regression":
            raise
        numbers = None
    if numbers is None and wish.task == "regression":
        raise UsageError(
            f"{table.path}, column {target!r} holds text, such as {cells[0]!r:.40}; regression "
            "needs numbers: give --task classification, or another --target"
        )
    if numbers is not None and wish.task != "classification":
        values = np.array(numbers, np.float32)[complete]
        if wish.task == "regression" or not _are_classes(values):
            if (values == values[0]).all():
                raise UsageError(f"{table.path}, column {target!r} is {values[0]:g} in every row")
            return values, ()
    order = (lambda cell: (float(cell), cell)) if numbers is not None else None
    labels = tuple(sorted(set(cells), key=order))
    places = {label: place for place, label in enumerate(labels)}
    return np.array([places[cell] for cell in cells]), labels


def _are_classes(values: Array) -> bool:
    distinct = np.unique(values)
    few = len(distinct) <= _MOST_CLASSES and len(distinct) * 5 <= len(values)
    return few and bool((distinct == np.round(distinct)).all())


def _counts(rows: Rows) -> dict[str, int]:
    return {label: int((rows.targets == place).sum()) for place, label in enumerate(rows.labels)}


def _recipe(wish: Wish, table: Table, target: str, rows: Rows) -> str:
    classes, size = bool(rows.labels), choices.size_of(int((~rows.held_out).sum()))
    shape = "(len(FEATURES),)"
    return code.join(
        _data(wish, table, target, rows),
        code.template("complete") if rows.dropped else "",
        code.template("hold_out"),
        *models.dense("len(FEATURES)", classes, size.hidden, wish.frameworks, shape=shape),
        models.recipe(
            wish,
            size,
            classes=classes,
            preprocessing=code.template("standardize_columns"),
            input_name="features",
        ),
    )


def _data(wish: Wish, table: Table, target: str, rows: Rows) -> str:
    """All of the file up to the end of its function `data`."""
    learnt = ~rows.held_out
    spreads = {name: code.spread(column[learnt]) for name, column in rows.features.items()}
    verb = "tell" if rows.labels else "predict"
    task = f"{verb} {target} from {code.counted(len(spreads), 'column')} of {wish.data.name}"
    separator = "" if table.separator == "," else f", delimiter={code.literal(table.separator)}"
    reader = f"csv.DictReader(file{separator})"
    if rows.labels:
        labels, value = code.assign("LABELS", rows.labels), "LABELS.index(row[TARGET].strip())"
    else:
        mean, deviation = code.spread(rows.targets[learnt])
        labels = f"TARGET_MEAN, TARGET_STD = {mean!r}, {deviation!r}  # in training rows"
        value = "float(row[TARGET])"
    return code.template(
        "tabular",
        title=code.title(wish.name, task),
        count=code.counted(len(learnt), "row"),
        path=wish.path_in_code,
        target=code.literal(target),
        labels=labels,
        features=code.table("FEATURES", spreads, "mean and standard deviation in training rows"),
        missing=f"\nMISSING = {code.literal(MISSING)}" if rows.dropped else "",
        learnt=code.counted(int(learnt.sum()), "row"),
        judged=int(rows.held_out.sum()),
        width=len(spreads),
        rows=f"[row for row in {reader} if complete(row)]" if rows.dropped else f"list({reader})",
        value=value,
        dtype="" if rows.labels else ", np.float32",
    )
