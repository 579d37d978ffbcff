"""Graphs of model files are drawn by other programs: Netron or Model Explorer, where installed."""

import shutil
import subprocess
import sys
from pathlib import Path

from toolkit.errors import ToolkitError, UsageError

_VIEWERS = ("netron", "model-explorer")  # the preferred first; both are given the file


def viewer_for(path: Path) -> list[str]:
    """The command that draws a model's graph.

    Raises:
        UsageError: there is no such file, or no program for it.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}; check the path")
    beside = str(Path(sys.executable).parent)  # a virtual environment need not be activated
    for name in _VIEWERS:
        program = shutil.which(name) or shutil.which(name, path=beside)
        if program is not None:
            return [program, str(path)]
    raise UsageError(
        "nothing that draws graphs is installed; pip install netron, or "
        "pip install ai-edge-model-explorer"
    )


def show(path: Path) -> str:
    """Draw a model's graph, until the user ends that with Ctrl-C; return the program's name.

    Raises:
        UsageError: there is no such file, or no program for it.
        ToolkitError: the program failed.
    """
    command = viewer_for(path)
    name = Path(command[0]).name
    code = subprocess.run(command, check=False).returncode  # noqa: S603 - found by name, no shell
    if code:
        raise ToolkitError(f"{name} ended with exit code {code}; run it yourself: {name} {path}")
    return name
