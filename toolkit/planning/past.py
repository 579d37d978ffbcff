"""How long it took before: figures of the runs folder, the latest of each kind."""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from toolkit.errors import UsageError
from toolkit.planning.plan import Guess
from toolkit.runs import Run
from toolkit.runs_folder import list_runs

_MOST_RUNS = 100  # that are looked at, the latest
_LATEST = 5  # of them count


class Past:
    """The finished runs of a folder.

    Args:
        root: folder of all runs; it need not exist.
        name: of the recipe or model; only runs of that count.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._runs: list[tuple[Run, dict[str, Any]]] = []
        for run in list_runs(root)[-_MOST_RUNS:]:
            with contextlib.suppress(UsageError):
                facts = run.facts
                named = facts.get("recipe") or facts.get("card") or {}
                if named.get("name") == name:
                    self._runs.append((run, facts))

    def training(
        self, frameworks: Sequence[str], workers: int, steps: dict[str, int], files: int
    ) -> Guess:
        """Of a whole training with start-up, or of its steps alone where no run was alike.

        Args:
            frameworks: that train.
            workers: of each.
            steps: by framework.
            files: that are exported meanwhile.
        """
        whole = []
        for _, facts in self._runs:
            done, timings = facts.get("frameworks", {}), facts.get("timings", {})
            alike = set(done) == set(frameworks) and timings.get("files") == files
            if alike and all(
                done[n].get("world") == workers and done[n].get("steps") == steps.get(n)
                for n in frameworks
            ):
                whole.append(float(timings["train"]))
        if whole:
            return _guess(whole, "of the same training")
        return self._steps(frameworks, workers, steps)

    def _steps(self, frameworks: Sequence[str], workers: int, steps: dict[str, int]) -> Guess:
        slowest, count = 0.0, 0
        for name in frameworks:
            rows = [facts.get("frameworks", {}).get(name, {}) for _, facts in self._runs]
            known = [row for row in rows if row.get("steps") and row.get("seconds")]
            same = [row for row in known if row.get("world") == workers] or known
            if not same or not steps.get(name):
                return Guess()
            each = median(row["seconds"] / row["steps"] for row in same[-_LATEST:])
            slowest, count = max(slowest, each * steps[name]), len(same[-_LATEST:])
        return Guess(round(slowest, 1), f"the seconds a step of {_runs(count)}, without start-up")

    def exporting(self, cells: Sequence[tuple[str, str, str]]) -> Guess:
        """Of files, each (framework, target, precision), one after another."""
        total, least = 0.0, _LATEST
        for cell in cells:
            known = [
                float(row["seconds"])
                for _, facts in self._runs
                for row in facts["exports"]
                if (row["framework"], row["target"], row["precision"]) == cell
            ][-_LATEST:]
            if not known:
                return Guess(None, f"no earlier run has a {cell[1]} file in {cell[2]}")
            total, least = total + median(known), min(least, len(known))
        return Guess(round(total, 1), f"the same files of {_runs(least)}") if cells else Guess()

    def verifying(self, files: int) -> Guess:
        """Of a verification of so many files."""
        known = []
        for run, _ in self._runs:
            with contextlib.suppress(UsageError, KeyError, TypeError):
                found = run.verification or {}
                checked = {check["file"] for check in found["checks"]}
                known.append(float(found["seconds"]) / max(1, len(checked)) * files)
        return _guess(known, "of the same model") if known else Guess()


def measuring(files: int, seconds: float) -> Guess:
    """Of a benchmark: each file is measured for so long, after a start of its own."""
    return Guess(round(files * (seconds + 1.5), 1), "--seconds and the number of files")


def median(values: Iterable[float]) -> float:
    """The middle one; `statistics` is slow to import."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _guess(seconds: Sequence[float], what: str) -> Guess:
    latest = seconds[-_LATEST:]
    return Guess(round(median(latest), 1), f"{_runs(len(latest))} {what}")


def _runs(count: int) -> str:
    return f"{count} earlier run{'s' if count > 1 else ''}"
