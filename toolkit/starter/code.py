"""Python as text: literals as `ruff format` would write them, and templates."""

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

_TEMPLATES = Path(__file__).parent / "templates"
_WIDTH = 100
_DIGITS = 3


def template(name: str, /, **values: Any) -> str:
    """The text of templates/`name`.txt with its $values filled in."""
    text = (_TEMPLATES / f"{name}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(values).strip("\n")


def join(*parts: str) -> str:
    """Top-level pieces of a file, two empty lines between them."""
    return "\n\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def title(name: str, task: str) -> str:
    """The first line of a recipe; long names of columns are cut."""
    line = f"{name}: {task}.".replace("\\", "/").replace('"', "'")
    return line if len(line) <= _WIDTH - 4 else f"{line[: _WIDTH - 7]}..."


def literal(value: Any) -> str:
    """A text, number or tuple of texts on one line."""
    if isinstance(value, str):
        shown = json.dumps(value, ensure_ascii=False)
        return repr(value) if '"' in value and "'" not in value else shown
    if isinstance(value, tuple):
        inner = ", ".join(literal(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def assign(name: str, values: Sequence[str]) -> str:
    """`NAME = (...)`, on one line where that fits."""
    line = f"{name} = {literal(tuple(values))}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name} = (", *(f"    {literal(value)}," for value in values), ")"])


def numbers(name: str, values: Sequence[float], comment: str = "") -> str:
    """`NAME = [...]`, wrapped where it is long, and a comment before it."""
    line = f"{name} = [{', '.join(map(repr, values))}]"
    if len(line) > _WIDTH:
        body = textwrap.fill(", ".join(map(repr, values)), _WIDTH - 4)
        line = f"{name} = [\n{textwrap.indent(body, '    ')},\n]  # fmt: skip"
    return f"# {comment}\n{line}" if comment else line


def table(name: str, rows: Mapping[str, tuple[float, float]], comment: str) -> str:
    """`NAME = {...}` of pairs, one a line."""
    lines = [f"    {literal(key)}: ({low!r}, {high!r})," for key, (low, high) in rows.items()]
    return "\n".join([f"{name} = {{  # {comment}", *lines, "}"])


def words(name: str, values: Sequence[str], comment: str) -> str:
    """`NAME = \"\"\"...\"\"\"`: many short words, which the code splits again."""
    body = textwrap.fill(" ".join(values), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return f'# {comment}\n{name} = """\n{body}\n"""'


def rounded(value: float, unit: float) -> float:
    """`value` with as many digits as matter in units of `unit`."""
    if not math.isfinite(value) or unit <= 0:
        return float(value)
    return float(round(float(value), _DIGITS - math.floor(math.log10(unit))))


def spread(values: Any) -> tuple[float, float]:
    """Mean and standard deviation, rounded; 1 for a deviation of 0."""
    mean, deviation = float(values.mean(dtype="float64")), float(values.std(dtype="float64"))
    if deviation == 0 or not math.isfinite(deviation):
        deviation = 1.0
    return rounded(mean, deviation), rounded(deviation, deviation)


def counted(count: int, singular: str, plural: str = "") -> str:
    """'1 row', '1,500 rows'."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
