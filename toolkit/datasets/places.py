"""Where fetched data sets lie: TOOLKIT_DATA_DIR, otherwise `toolkit/data` in the user's cache."""

import os
from pathlib import Path

from toolkit.errors import DataError


def root() -> Path:
    """The folder of all fetched data sets; it need not exist."""
    if given := os.environ.get("TOOLKIT_DATA_DIR"):
        return Path(given).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "toolkit" / "data"


def folder(name: str) -> Path:
    """Where the data set `name` lies.

    Raises:
        DataError: it was not fetched; names the command that does.
    """
    path = root() / name
    if not path.is_dir():
        raise DataError(
            f"the data set {name!r} is not in {path}; fetch it with 'toolkit data fetch {name}', "
            "or let TOOLKIT_DATA_DIR name the folder that holds it"
        )
    return path
