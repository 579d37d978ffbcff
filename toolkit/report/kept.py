"""What earlier commands kept in the run directory, read back leniently: older runs lack some."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from toolkit.artifacts import Export
from toolkit.errors import UsageError
from toolkit.recipe import FRAMEWORKS
from toolkit.report.facts import Measured, Rung, Trained
from toolkit.runs import Run

_NOT_LAST = ("epoch", "step", "steps", "epochs", "world", "threads", "attempts", "seconds", "time")
_TARGETS = ("tflite", "onnx")
_PRECISIONS = ("fp32", "fp16", "16x8", "dynamic", "int8-float", "int8")


def trained_of(recorded: Mapping[str, Any]) -> tuple[Trained, ...]:
    """How each framework's training went, out of run.json; nothing for an adopted model."""
    if "recipe" not in recorded:
        return ()
    found = recorded.get("frameworks", {})
    order = [name for name in FRAMEWORKS if name in found]
    return tuple(_trained(name, found[name]) for name in order)


def _trained(framework: str, facts: Mapping[str, Any]) -> Trained:
    last = {
        name: _finite(value)
        for name, value in facts.items()
        if name not in _NOT_LAST and (name == "loss" or name.startswith("val_"))
    }
    return Trained(
        framework=framework,
        workers=facts.get("world"),
        threads=facts.get("threads"),
        attempts=facts.get("attempts") or 1,
        steps=facts.get("steps"),
        epochs=facts.get("epochs"),
        seconds=_finite(facts.get("seconds")),
        samples_per_second=_finite(facts.get("samples_per_second")),
        last=last,
        notes=tuple(map(str, facts.get("notes", ()))),
    )


def ladder_of(recorded: Mapping[str, Any]) -> tuple[Rung, ...]:
    """The rungs that `--precision best` tried, out of run.json."""
    found = []
    for row in recorded.get("ladder", ()):
        checks = row.get("checks") or ()
        kept = [check["kept"] for check in checks if check.get("kept") is not None]
        drop = [check["drop"] for check in checks if check.get("drop") is not None]
        found.append(
            Rung(
                framework=str(row["framework"]),
                target=str(row["target"]),
                precision=str(row["precision"]),
                bytes=(row.get("export") or {}).get("bytes"),
                kept=min(kept, default=None),
                drop=max(drop, default=None),
                reason=str(row.get("reason") or ""),
            )
        )
    return tuple(sorted(found, key=lambda rung: _place(FRAMEWORKS, rung.framework)))


def measured_of(run: Run, exports: Sequence[Export]) -> tuple[Measured, ...]:
    """The rows of bench.json about files that are still there.

    Raises:
        UsageError: the file is damaged.
    """
    path = run.path / "bench.json"
    if not path.is_file():
        return ()
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged: {error}; run toolkit bench again") from error
    by_name = {Path(export.file).name: export for export in exports}
    known = {field.name for field in fields(Measured)}
    found = []
    for row in rows:
        export = by_name.get(row.get("file"))
        if export is not None:
            kept = {name: value for name, value in row.items() if name in known}
            kept |= {"framework": export.framework, "target": export.target}
            kept["old"] = row.get("sha256") != export.sha256
            found.append(Measured(**kept))
    order = list(by_name)
    return tuple(sorted(found, key=lambda one: order.index(one.file)))


def ordered(exports: Sequence[Export]) -> tuple[Export, ...]:
    """Files as people look for them: by framework, target, and from exact to small."""

    def place(export: Export) -> tuple[int, int, str, int]:
        return (
            _place(FRAMEWORKS, export.framework),
            _place(_TARGETS, export.target),
            export.target,
            _place(_PRECISIONS, export.precision),
        )

    return tuple(sorted(exports, key=place))


def _place(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def bundles_of(run: Run) -> tuple[tuple[str, int], ...]:
    """Name and size of the bundles in the run directory."""
    found = sorted((run.path / "bundles").glob("*.edge"))
    return tuple((path.name, path.stat().st_size) for path in found)


def _finite(value: Any) -> float | None:
    number = float(value) if isinstance(value, int | float) else None
    return number if number is not None and math.isfinite(number) else None
