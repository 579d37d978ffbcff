"""Pictures of what commands print: run one in a terminal, draw what is left on the screen.

python -m docs.building.terminal docs/images/run.svg toolkit run linear --workers 2
"""

import io
import os
import pty
import re
import shlex
import struct
import sys
import termios
from fcntl import ioctl
from pathlib import Path

WIDTH = 146
_PARTS = re.compile(r"(\r\n|\n|\r|\x1b\[\d*[AK]|\x1b\[\?\d+[hl])")
_LOADED = re.compile(r"\s*@font-face \{.*?\}\n|\s*<!--.*?-->", re.DOTALL)


def main() -> None:
    """Run the command that is given and write its picture."""
    path, *command = sys.argv[1:]
    Path(path).write_text(draw(shlex.join(command), screen(record(command))), encoding="utf-8")


def record(command: list[str]) -> str:
    """What a command writes to a terminal of WIDTH columns."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": ""}
        os.execvp(command[0], command)  # noqa: S606 - the caller's own words
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 60, WIDTH, 0, 0))
    written = io.BytesIO()
    try:
        while block := os.read(terminal, 65536):
            written.write(block)
    except OSError:  # how Linux says that the other end is closed
        pass
    os.waitpid(child, 0)
    return written.getvalue().decode()


def screen(text: str) -> str:
    """What is left on the screen once bars have been drawn over and over: colours are kept."""
    lines, row = [""], 0
    for part in _PARTS.split(text):
        if part in ("\n", "\r\n"):
            row += 1
            lines += [""] * (row == len(lines))
        elif part.endswith("A") and part.startswith("\x1b["):
            row = max(0, row - int(part[2:-1] or 1))
        elif part.endswith("K") and part.startswith("\x1b["):
            lines[row] = ""
        elif part and part != "\r" and not part.startswith("\x1b[?"):
            lines[row] += part
    return "\n".join(lines).rstrip()


def draw(command: str, shown: str) -> str:
    """An SVG that loads nothing."""
    from rich.console import Console
    from rich.terminal_theme import DIMMED_MONOKAI
    from rich.text import Text

    console = Console(record=True, file=io.StringIO(), width=WIDTH, color_system="256")
    console.print(Text.from_ansi(f"$ {command}\n{shown}"), soft_wrap=True)
    drawn = console.export_svg(title="toolkit", theme=DIMMED_MONOKAI, unique_id="terminal")
    plain = _LOADED.sub("\n", drawn).replace("Fira Code, ", "DejaVu Sans Mono, ")
    return re.sub(r"[ \t]+$", "", plain, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
