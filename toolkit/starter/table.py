"""A CSV file as a person's spreadsheet gives it: columns, what is missing, where it is wrong."""

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import UsageError, nearest

MISSING = ("", "?", "n/a", "na", "nan", "null")
_SEPARATORS = ",;\t|"
_NUMERIC_SHARE = 0.9  # of a column's values; below it, the column is text
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")


@dataclass(frozen=True)
class Table:
    """A CSV file in memory.

    Attributes:
        path: of the file.
        separator: between cells.
        names: of the columns, in order.
        rows: cells as they are.
        lines: number of each row's line.
    """

    path: Path
    separator: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def column(self, name: str) -> list[str]:
        """A column's cells without blanks around them.

        Raises:
            UsageError: there is no such column.
        """
        if name not in self.names:
            raise UsageError(f"{self.path} has no column {name!r}; {nearest(name, self.names)}")
        place = self.names.index(name)
        return [row[place].strip() for row in self.rows]

    def numbers(self, name: str) -> list[float] | None:
        """A column as numbers, NaN where one is missing; None for a column of text.

        Raises:
            UsageError: nearly all are numbers, but some are not.
        """
        cells = self.column(name)
        values = [_number(cell) for cell in cells]
        wrong = [index for index, value in enumerate(values) if value is None]
        given = sum(not missing(cell) for cell in cells)
        if wrong and len(wrong) > given * (1 - _NUMERIC_SHARE):
            comma = sum(bool(_DECIMAL_COMMA.fullmatch(cell)) for cell in cells)
            if comma > given * _NUMERIC_SHARE:
                raise self.wrong(wrong[0], name, "has a decimal comma; save it with points")
            return None
        if wrong:
            cell = cells[wrong[0]]
            raise self.wrong(
                wrong[0],
                name,
                f"{cell!r:.40} is no finite number, as nearly all of the column are; correct it, "
                "or leave the cell empty",
            )
        return [math.nan if value is None else value for value in values]

    def wrong(self, row: int, name: str, problem: str) -> UsageError:
        """An error about one cell."""
        return UsageError(f"{self.path}, line {self.lines[row]}, column {name!r}: {problem}")


def missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.lower() in MISSING


def read(path: Path) -> Table:
    """Read a file whose first line names the columns.

    Raises:
        UsageError: it is no such file; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="strict")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}, line {line}: is not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows, lines = list[tuple[str, ...]](), list[int]()
    try:
        for row in reader:
            if row:  # an empty line is no row
                rows.append(tuple(row))
                lines.append(reader.line_num)
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: {error}; correct that line") from error
    if len(rows) < 2:
        raise UsageError(f"{path} has no rows below its first line, which names the columns")
    _check_names(path, rows[0])
    for cells, line in zip(rows, lines, strict=True):
        if len(cells) != len(rows[0]):
            raise UsageError(
                f"{path}, line {line}: has {len(cells)} cells, but line 1 names {len(rows[0])} "
                f"columns; quote cells that contain {separator!r}, or correct the line"
            )
    return Table(path, separator, rows[0], tuple(rows[1:]), tuple(lines[1:]))


def _separator(text: str) -> str:
    """What the first line has most of."""
    first = text.split("\n", 1)[0]
    return max(_SEPARATORS, key=first.count)


def _check_names(path: Path, names: Sequence[str]) -> None:
    if sum(_number(name.strip()) is not None for name in names) > len(names) / 2:
        raise UsageError(
            f"{path}, line 1: holds numbers, {', '.join(names)[:60]}; the first line must name the "
            "columns: add such a line"
        )
    for place, name in enumerate(names):
        if not name.strip() and place:
            raise UsageError(f"{path}, line 1: column {place + 1} has no name; give it one")
        if name in names[:place]:
            raise UsageError(f"{path}, line 1: two columns are named {name!r}; rename one")


def _number(cell: str) -> float | None:
    """A cell's number; NaN for a missing one, None for text and infinity."""
    if missing(cell):
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in cell else None
