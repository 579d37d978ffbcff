"""The edge runtime's command line: `python -m edge COMMAND`, and the zipapp's entry."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; returns the exit code."""
    from edge.cli import EXIT_CODES, execute
    from edge.commands import COMMANDS

    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in COMMANDS:
        return execute(COMMANDS[given[0]], given[1:])
    lines = [f"  {name.ljust(10)}{command.summary}" for name, command in COMMANDS.items()]
    text = "\n".join(["usage: edge COMMAND ... (COMMAND --help tells more)", "", *lines])
    if given and given[0] in ("-h", "--help"):
        print(f"{text}\n\n{EXIT_CODES}")
        return 0
    problem = f"no command is called {given[0]!r}" if given else "COMMAND is missing"
    print(f"error: {problem}\n{text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
