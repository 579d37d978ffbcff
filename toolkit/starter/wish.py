"""What a user says about their data, and which kind of data that is."""

import os
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import UsageError
from toolkit.starter import code

KINDS = ("csv", "images", "npz", "text")
TASKS = ("classification", "regression")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
TABLE_SUFFIXES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Wish:
    """What to write a recipe for.

    Attributes:
        data: a file or a folder.
        kind: one of KINDS, or None to find out.
        target: column of a CSV file, or array of an .npz file, that is to be predicted.
        text: column of a CSV file that holds the text, or None to find out.
        task: one of TASKS, or None to find out.
        name: of the recipe.
        output: file to write.
        frameworks: out of 'tf' and 'torch'.
    """

    data: Path
    kind: str | None
    target: str | None
    text: str | None
    task: str | None
    name: str
    output: Path
    frameworks: tuple[str, ...]

    @property
    def path_in_code(self) -> str:
        """Python for the data's place, relative to the recipe where they lie close together."""
        folder = self.output.absolute().parent.resolve()
        data = self.data.absolute().resolve()
        relative = Path(os.path.relpath(data, folder)).as_posix()
        if relative.startswith("../../.."):
            return f"Path({code.literal(str(data))})"
        return f"Path(__file__).parent / {code.literal(relative)}"


def kind_of(data: Path) -> str:
    """One of KINDS by what lies at `data`; 'csv' for any table, which may turn out to hold text.

    Raises:
        UsageError: nothing is there, or nothing that a recipe can be written for.
    """
    if data.is_dir():
        return _kind_of_folder(data)
    if not data.is_file():
        raise UsageError(f"there is no file or folder {data}; give --data FILE or FOLDER")
    suffix = data.suffix.lower()
    if suffix == ".npz":
        return "npz"
    if suffix in TABLE_SUFFIXES:
        return "csv"
    known = "a .csv or .tsv table, an .npz file, or a folder with a folder a class"
    raise UsageError(f"{data} is none of the known kinds: {known}; convert it, or give --kind")


def _kind_of_folder(data: Path) -> str:
    suffixes = [file.suffix.lower() for file in data.glob("*/*") if file.is_file()]
    images = sum(suffix in IMAGE_SUFFIXES for suffix in suffixes)
    texts = sum(suffix == ".txt" for suffix in suffixes)
    if not images and not texts:
        parts = [part.name for part in sorted(data.iterdir()) if any(part.glob("*/*"))]
        hint = f"; give one of its folders: --data {data / parts[0]}" if parts else ""
        raise UsageError(
            f"{data} holds no images or .txt files in folders of their class, such as "
            f"{data / 'cat' / '1.png'}{hint}"
        )
    return "images" if images >= texts else "text"
