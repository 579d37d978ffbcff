"""The edge inference script: `python edge/infer.py MODEL --input 4.0`, or `python -m edge.infer`.

Raw input -> the manifest's preprocessing -> the model -> the manifest's decision -> a line a
sample. Answers go to stdout, errors to stderr. Needs numpy and the runtime of the model's format.
It is the command `run` of `python -m edge`; its options are in commands.py, its work in run.py.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

if not __package__:
    # Run as a script, this folder heads the path, and its modules would pass for others' by name.
    _folder = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120 - pathlib costs 3 ms here
    sys.path[:] = [
        os.path.dirname(_folder),  # noqa: PTH120
        *(path for path in sys.path if os.path.realpath(path) != _folder),
    ]

from edge.cli import execute
from edge.commands import RUN


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return execute(RUN, argv)


if __name__ == "__main__":
    sys.exit(main())
