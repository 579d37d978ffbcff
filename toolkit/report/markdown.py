"""The verification as a table in Markdown, for viewers such as TensorBoard."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from toolkit.artifacts import Check
from toolkit.report.plot import number
from toolkit.report.words import metric, percent

_COLUMNS = ("file", "runtime", "error", "kept", "metric", "drop", "result")


def as_markdown(checks: Sequence[Check]) -> str:
    """A row a check."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    for check in checks:
        judged = check.drop is not None
        cells = (
            PurePosixPath(check.file).name,
            check.runtime,
            number(check.error, 2),
            percent(check.kept),
            f"{metric(check.metric, check.before)} → {metric(check.metric, check.after)}"
            if judged
            else "-",
            "-" if check.drop is None else f"{check.drop:+.4f}",
            "pass" if check.passed else f"FAIL: {check.reason}",
        )
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines)


def _cell(value: str) -> str:
    return " ".join(value.replace("|", "\\|").split())
