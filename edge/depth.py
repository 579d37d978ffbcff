"""How deeply JSON from elsewhere may be nested.

What walks through a value by recursion, as json and repr do, would raise RecursionError for one
that is nested by the hundreds, at a depth that depends on who calls it.
"""

from __future__ import annotations

from typing import Any

MOST = 100
"""Of any JSON that is read here; real ones are nested by the ten."""


def is_deeper(value: Any, most: int = MOST) -> bool:
    """Whether lists and objects lie inside one another more than `most` times."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return most == 0 or any(is_deeper(child, most - 1) for child in value)
