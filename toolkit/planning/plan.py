"""The plan as a value, as text and as JSON."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from toolkit.progress import duration

TIME = "<time>"
"""Stands for the date, the time and the digits in a new run's name."""

_WIDTH = 100
_MOST_FILES = 12  # that a person is shown of a stage


@dataclass(frozen=True)
class Guess:
    """How long something took before.

    Attributes:
        seconds: or None where nothing is known.
        basis: what that is derived from, or why nothing is known.
    """

    seconds: float | None = None
    basis: str = "no earlier run tells"


@dataclass(frozen=True)
class Stage:
    """One stage of a plan.

    Attributes:
        stage: such as 'train' or 'export'.
        told: what it does, a line each.
        facts: the same as plain values.
        files: that it writes; TIME stands for what is known only then.
        guess: how long it takes.
        notes: what a user should know about it.
    """

    stage: str
    told: Sequence[str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[str] = ()
    guess: Guess = Guess()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """All that a command would do.

    Attributes:
        command: such as 'train'.
        run: path of the run that it works on; a new one's has TIME in it.
        stages: in order.
    """

    command: str
    run: str
    stages: Sequence[Stage]

    @property
    def seconds(self) -> float | None:
        """Of all stages, or None where one of them is unknown."""
        known = [stage.guess.seconds for stage in self.stages]
        return None if None in known else round(sum(s for s in known if s is not None), 1)

    def to_json(self) -> dict[str, Any]:
        """All of it as one JSON object."""
        stages = []
        for stage in self.stages:
            row = {"stage": stage.stage, **asdict(stage.guess), "files": list(stage.files)}
            stages.append(row | {"notes": list(stage.notes), "facts": dict(stage.facts)})
        return {
            "dry_run": True,
            "command": self.command,
            "run": self.run,
            "seconds": self.seconds,
            "stages": stages,
        }

    def lines(self) -> list[str]:
        """All of it for a person."""
        found = []
        for stage in self.stages:
            rows = [*stage.told, *_shown(stage.files), f"time: {_time(stage.guess)}"]
            rows += [f"note: {note}" for note in stage.notes]
            for title, row in zip([stage.stage, *[""] * len(rows)], rows, strict=False):
                hang = " " * 13 if row.startswith("  ") else " " * 11
                found += textwrap.wrap(
                    f"{title:<8} {row}",
                    _WIDTH,
                    subsequent_indent=hang,
                    break_long_words=False,
                    break_on_hyphens=False,
                )
        known = [s.guess.seconds for s in self.stages if s.guess.seconds is not None]
        whole = f"about {duration(sum(known))}" if self.seconds is not None else "time unknown"
        if known and self.seconds is None:
            whole = f"{duration(sum(known))} or more"
        return [*found, f"in all: {whole}; nothing was started or written"]


def new_run(root: Path, name: str) -> str:
    """Path of a run that is not there yet."""
    return str(root / f"{name}-{TIME}")


def _shown(files: Sequence[str]) -> list[str]:
    if not files:
        return []
    more = [f"  and {len(files) - _MOST_FILES} more"] if len(files) > _MOST_FILES else []
    return ["files:", *(f"  {file}" for file in files[:_MOST_FILES]), *more]


def _time(guess: Guess) -> str:
    if guess.seconds is None:
        return f"unknown, {guess.basis}"
    return f"about {duration(guess.seconds) if guess.seconds >= 1 else '1 s'}, by {guess.basis}"
