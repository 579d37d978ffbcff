"""The precision ladder: the smallest file that is still good enough, and why the others are not."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any

from toolkit.artifacts import Check, Export
from toolkit.data.evidence import Calibration
from toolkit.errors import CheckError, ToolkitError
from toolkit.export.request import STATIC
from toolkit.export.stage import Cell, Exporter
from toolkit.runs import Run

RUNGS = ("int8", "int8-float", "16x8", "dynamic", "fp16", "fp32")
"""From the smallest and fastest to the most exact."""

Judge = Callable[[list[Export]], list[Check]]


@dataclass(frozen=True)
class Rung:
    """One precision that was tried for one model and target.

    Attributes:
        framework: of the model.
        target: of the file.
        precision: that was tried.
        export: the file, or None where none could be made.
        checks: of the file.
        reason: why it is not good enough, or '' for the one that was chosen.
    """

    framework: str
    target: str
    precision: str
    export: Export | None
    checks: tuple[Check, ...]
    reason: str


def climb(exporter: Exporter, calibration: Calibration | ToolkitError, judge: Judge) -> list[Rung]:
    """Try the rungs for every model and target until one passes; keep only that file.

    Args:
        exporter: its request's precisions are the rungs that may be tried.
        calibration: samples for static precisions, or why there are none.
        judge: verifies exported files.

    Raises:
        CheckError: not even the last rung of one of them is good enough.
    """
    bases, tried = exporter.convert(), list[Rung]()
    open_cells = list(bases)
    for precision in RUNGS:
        cells = [
            cell for cell in open_cells if precision in exporter.request.precisions_of(cell[1])
        ]
        rungs = _try(exporter, {cell: bases[cell] for cell in cells}, precision, calibration, judge)
        tried += rungs
        failed = [rung.export.file for rung in rungs if rung.reason and rung.export]
        exporter.run.drop_exports(failed)
        passed = {(rung.framework, rung.target) for rung in rungs if not rung.reason}
        open_cells = [cell for cell in open_cells if cell not in passed]
    _keep(exporter.run, tried)
    if open_cells:
        last = {(rung.framework, rung.target): rung for rung in tried}
        told = [f"{fw} to {target}: {last[fw, target].reason}" for fw, target in open_cells]
        raise CheckError("no precision is good enough: " + "; ".join(told))
    return tried


def _keep(run: Run, tried: list[Rung]) -> None:
    """Record the rungs in run.json in place of earlier ones of the same models and targets."""
    climbed = {(rung.framework, rung.target) for rung in tried}
    others = [
        row
        for row in run.facts.get("ladder", [])
        if (row["framework"], row["target"]) not in climbed
    ]
    run.update(ladder=[*others, *(asdict(rung) for rung in tried)])


def _try(
    exporter: Exporter,
    bases: dict[Cell, "Future[Any]"],
    precision: str,
    calibration: Calibration | ToolkitError,
    judge: Judge,
) -> list[Rung]:
    """One rung of several models and targets at a time."""
    if precision in STATIC and isinstance(calibration, ToolkitError):
        return [Rung(*cell, precision, None, (), str(calibration)) for cell in bases]
    samples = calibration if isinstance(calibration, Calibration) else None
    pending = {
        cell: exporter.quantise(cell, base, precision, samples) for cell, base in bases.items()
    }
    made: dict[Cell, Export] = {}
    reasons: dict[Cell, str] = {}
    for cell, future in pending.items():
        try:
            made[cell] = exporter.finish(cell, precision, future, samples)
        except ToolkitError as error:
            reasons[cell] = str(error).splitlines()[0]
    exporter.run.add_exports(list(made.values()))
    checks = judge(list(made.values())) if made else []
    rungs = []
    for cell in bases:
        export = made.get(cell)
        own = tuple(check for check in checks if export and check.file == export.file)
        bad = [check.reason for check in own if not check.passed]
        reason = reasons.get(cell, bad[0] if bad else "")
        rungs.append(Rung(*cell, precision, export, own, reason))
    return rungs
