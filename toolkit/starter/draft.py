"""What a survey of the data gives: the recipe's text, and what the user should know of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Draft:
    """A recipe that is ready to be written.

    Attributes:
        text: the recipe file's content.
        kind: of the data.
        task: 'classification' or 'regression'.
        facts: what was found: counts, classes, columns.
        notes: what was left out, or is unusual, and what to do about it.
    """

    text: str
    kind: str
    task: str
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=())
