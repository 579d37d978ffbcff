"""Layers and sizes of the code as it is, for the page about architecture."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARKS = ("<!-- layers -->", "<!-- sizes -->")


def filled(markdown: str) -> str:
    """The page with its marks replaced."""
    return markdown.replace(MARKS[0], layers()).replace(MARKS[1], sizes())


def contract() -> list[list[str]]:
    """Layers of `toolkit`, the upper first, as import-linter enforces them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (found,) = (
        each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers"
    )
    return [[name.strip() for name in layer.split(":")] for layer in found["layers"]]


def layers() -> str:
    """A row of boxes a layer."""
    rows = ["".join(f"<span>{name}</span>" for name in layer) for layer in contract()]
    return '<div class="layers">' + "".join(f"<div>{row}</div>" for row in rows) + "</div>"


def sizes() -> str:
    """A table of folders: files, lines, the longest file."""
    rows = ["| where | files | lines | longest file |", "|---|---:|---:|---|"]
    top = ROOT / "toolkit"
    folders = sorted(folder for folder in top.iterdir() if (folder / "__init__.py").is_file())
    places = [("toolkit/*.py", sorted(top.glob("*.py")))]
    places += [(f"toolkit/{folder.name}", sorted(folder.rglob("*.py"))) for folder in folders]
    places += [(name, sorted((ROOT / name).rglob("*.py"))) for name in ("edge", "tests")]
    for name, files in places:
        lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in files}
        longest = max(lines, key=lambda file: lines[file])
        cells = (f"`{name}`", f"{len(files)}", f"{sum(lines.values()):,}")
        rows.append("| " + " | ".join(cells) + f" | `{longest.name}`, {lines[longest]} |")
    return "\n".join(rows)
