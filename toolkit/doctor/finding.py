"""What a check gives."""

from dataclasses import dataclass

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True)
class Finding:
    """One row of what the doctor says.

    Attributes:
        check: what was looked at, in a word or two.
        status: 'ok'; 'warning' for what may be slow or is not there; 'problem' for what fails.
        detail: what was found.
        fix: what to do about it, or ''.
    """

    check: str
    status: str
    detail: str
    fix: str = ""
