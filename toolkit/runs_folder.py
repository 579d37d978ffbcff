"""The folder of all runs: what is in it, and the run that a user means."""

import contextlib
from pathlib import Path

from toolkit.errors import NotFoundError, UsageError, nearest
from toolkit.runs import FINISHED, Run


def list_runs(root: Path) -> list[Run]:
    """All usable run directories under `root`, oldest first."""
    found = {}
    for file in root.glob("*/run.json"):
        run = Run(file.parent)
        with contextlib.suppress(UsageError):  # a damaged one hides no other
            found[str(run.facts["created"]), run.name] = run
    return [found[key] for key in sorted(found)]


def find_run(root: Path, name: str | None, *, unfinished: bool = False) -> Run:
    """Return the run of that name or path; without a name, the latest one that was trained.

    Args:
        root: folder of all runs.
        name: the run's name or path, or None.
        unfinished: without a name, take the latest one whose training did not end.

    Raises:
        NotFoundError: there is none.
    """
    if name:
        return _named(root, name)
    runs = list_runs(root)
    if unfinished:
        found = [run for run in runs if run.facts["status"] not in (*FINISHED, "adopting")]
        missing = "run in {} whose training is unfinished; all runs: toolkit runs"
    else:
        found = [run for run in runs if run.facts["status"] in FINISHED]
        missing = "trained run in {}; train one first: toolkit train"
    if not found:
        raise NotFoundError(f"there is no {missing.format(root)}")
    return found[-1]


def _named(root: Path, name: str) -> Run:
    for path in (Path(name), root / name):
        if (path / "run.json").is_file():
            return Run(path)
    known = [run.name for run in list_runs(root)]
    hint = "it holds no runs: check --runs-dir, or train: toolkit train"
    raise NotFoundError(
        f"there is no run {name!r} in {root}; {nearest(name, known) if known else hint}"
    )
