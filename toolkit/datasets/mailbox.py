"""E-mails in folders, as texts; and the vocabulary of some of them.

A vocabulary belongs to a recipe's preprocessing, so that every process that loads the recipe needs
it. It is kept beside the data under a name that depends on the files it was made from, and made
anew where one of them changed.
"""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge.steps_text import SPLITS
from toolkit.datasets.mail import text_of
from toolkit.errors import DataError, StorageError
from toolkit.files import write_bytes

_FORM = "2"  # of the texts; another number makes kept vocabularies void


def files(folder: Path) -> list[Path]:
    """The .txt files of a folder, in order of their names.

    Raises:
        DataError: there are none.
    """
    found = sorted(path for path in folder.glob("*.txt") if path.is_file())
    if not found:
        raise DataError(
            f"{folder} holds no .txt files; fetch the data again with "
            f"'toolkit data fetch {folder.parent.name} --force'"
        )
    return found


def read(paths: Iterable[Path], most: int) -> list[str]:
    """The text of each e-mail, at most `most` characters.

    Raises:
        DataError: a file cannot be read.
    """
    texts = []
    for path in paths:
        try:
            texts.append(text_of(path.read_bytes(), most))
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return texts


def vocabulary(texts: Iterable[str], size: int, least: int) -> list[str]:
    """'' for padding, '[UNK]' for all other words, and the words of most texts.

    Args:
        texts: to learn from; words are runs of letters and digits, in lower case.
        size: most entries, with the two.
        least: texts that a word must occur in.
    """
    counts = Counter[str]()
    for text in texts:
        counts.update(set(SPLITS["words"].findall(text.lower())))
    # by count, and by name among equals: the same texts give the same numbers anywhere
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ["", "[UNK]", *(word for word, count in ordered[: size - 2] if count >= least)]


def kept_vocabulary(paths: Sequence[Path], most: int, size: int, least: int) -> list[str]:
    """The same of e-mails in files, read once and then kept beside their folders."""
    place = paths[0].parent.parent
    kept = place / f"words-{_key(paths, most, size, least)}.txt"
    try:
        return kept.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        made = vocabulary(read(paths, most), size, least)
    with contextlib.suppress(StorageError):  # costs time at the next start, and nothing else
        write_bytes(kept, "\n".join(made).encode())
    return made


def _key(paths: Sequence[Path], *settings: int) -> str:
    seen = hashlib.sha256(f"{_FORM} {settings}".encode())
    for path in paths:
        facts = path.stat()
        seen.update(
            f"\0{path.parent.name}/{path.name} {facts.st_size} {facts.st_mtime_ns}".encode()
        )
    return seen.hexdigest()[:16]
