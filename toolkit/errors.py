"""Every error that the toolkit raises on purpose, and the exit code each one means.

    ToolkitError              3  something broke while running
    ├── UsageError            2  the command or its input is wrong
    │   ├── RecipeError          a recipe's field, named
    │   ├── DataError            a recipe's data: shapes, NaN, labels out of range
    │   ├── NotFoundError        no such recipe, run, model or file
    │   └── ResourceError        more workers or GPUs asked for than there are
    ├── CheckError            1  a gate or check failed
    ├── WorkerError           3  a training worker raised or died; names its rank
    ├── StoppedError        130  Ctrl-C or SIGTERM; what was trained is saved
    ├── ConversionError       3  a converter failed; names the model and the target
    └── StorageError          3  a file could not be written or read

A message says what was wrong, where, and what to do next, in one to three lines.
"""

import difflib
from collections.abc import Iterable


class ToolkitError(Exception):
    """Base of all errors raised on purpose; `detail` is shown below the message."""

    exit_code = 3

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class UsageError(ToolkitError):
    """The command or its input is wrong; nothing was changed."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe is not usable; the message names the field."""


class DataError(UsageError):
    """A recipe's data cannot be trained on."""


class NotFoundError(UsageError):
    """A named recipe, run, model or file does not exist."""


class ResourceError(UsageError):
    """More workers or GPUs were asked for than there are."""


class CheckError(ToolkitError):
    """A gate or check failed: what was checked is complete, and it is not good enough."""

    exit_code = 1


class WorkerError(ToolkitError):
    """A training worker raised or died; `detail` holds its traceback or last log lines."""


class StoppedError(ToolkitError):
    """Ctrl-C or SIGTERM ended the training after a checkpoint; it can be resumed."""

    exit_code = 130


class ConversionError(ToolkitError):
    """A converter failed; `detail` holds the last lines of its log."""


class StorageError(ToolkitError):
    """A file or directory could not be written, read or listed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return 'did you mean X?' or a list of what there is, to end an error message."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return "there is: " + ", ".join(names) if names else "there is none"
