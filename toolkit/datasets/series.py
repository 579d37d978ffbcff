"""Time series in .ts files, as the UCR/UEA archive and aeon write them.

After lines of '@name value' and '@data', each line is one case: channels divided by ':', values by
',', and the case's label at the end. Cases may differ in length; channels of one case may not.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import DataError

Floats = NDArray[np.float32]

_MOST = 1 << 28  # bytes of a file


def read(path: Path) -> tuple[list[Floats], list[str]]:
    """All cases as arrays [channels, steps], and their labels as they stand in the file.

    Raises:
        DataError: the file cannot be read, or a line is none of a series with labels; names the
            line. A missing value ('?') is one of these, since no model here takes it.
    """
    lines = _text(path).splitlines()
    known, first = _head(path, lines)
    cases: list[Floats] = []
    labels: list[str] = []
    for number, line in enumerate(lines[first:], first + 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            *channels, label = line.strip().split(":")
            cases.append(_case(channels, len(cases[0]) if cases else 0))
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}") from error
        if (label := label.strip()) not in known:
            raise DataError(
                f"{path}, line {number}: the label {label[:40]!r} is none of {', '.join(known)}"
            )
        labels.append(label)
    if not cases:
        raise DataError(f"{path} holds no series after '@data'")
    return cases, labels


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST:
            raise DataError(f"{path} is over {_MOST:,} bytes; no series file is that large")
        # letters outside ASCII stand in comments only, in any charset
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}; fetch the data again with "
            f"'toolkit data fetch {path.parent.name} --force'"
        ) from error


def _head(path: Path, lines: list[str]) -> tuple[list[str], int]:
    """The labels that may occur, and how many lines stand before the first case."""
    labels: list[str] = []
    for number, line in enumerate(lines, 1):
        name, *values = line.strip().split() or ("#",)
        match name.lower():
            case "@data":
                if not labels:
                    raise DataError(f"{path}, line {number}: no '@classLabel true' stands before")
                return labels, number
            case "@classlabel":
                labels = values[1:] if values[:1] == ["true"] else []
            case "@timestamps" if values != ["false"]:
                raise DataError(f"{path}, line {number}: series with time stamps cannot be read")
            case _ if name[0] not in "@#":
                raise DataError(f"{path}, line {number}: '@data' is missing before the series")
    raise DataError(f"{path} has no line '@data'; it is no .ts file")


def _case(channels: list[str], count: int) -> Floats:
    """One case [channels, steps]; `count` is how many channels there must be, 0 for any.

    Raises:
        ValueError: says what is wrong.
    """
    if not channels:
        raise ValueError("it has no ':', so there is a series or a label only")
    if count and len(channels) != count:
        raise ValueError(f"{len(channels)} channels, though the first case has {count}")
    rows = [channel.split(",") for channel in channels]
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"its channels differ in length: {[len(row) for row in rows]}")
    if any("?" in value for row in rows for value in row):
        raise ValueError("a value is missing ('?')")
    with np.errstate(over="ignore"):
        case = np.array(rows, np.float64).astype(np.float32)
    if not np.isfinite(case).all():
        raise ValueError("a value is not finite, or too large for float32")
    return case
