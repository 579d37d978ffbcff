"""Recipes whose data are streams, as files that other processes can load."""

from pathlib import Path

import pytest

from toolkit import source

HEAD = """
import numpy as np
from pathlib import Path
from toolkit import Data, Recipe, Split, Stream

HERE = Path(__file__).parent
X = np.arange(20, dtype=np.float32).reshape(10, 2)
Y = np.arange(10) % 3
"""
TAIL = """
def data():
    return Data({train}, {validation})

recipe = Recipe("job", data, torch=object, **{fields!r})
"""


@pytest.fixture
def recipe_file(tmp_path: Path):
    """Make a recipe's source out of the body of its read function."""

    def make(
        body: str,
        *,
        stream: str = "",
        train: str = "Stream(read, {})",
        validation: str = "Split(X, Y)",
        **fields,
    ):
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        text = f"{HEAD}\ndef read():\n{lines}\n" + TAIL.format(
            train=train.format(stream), validation=validation.format(stream), fields=fields
        )
        path = tmp_path / "recipe.py"
        path.write_text(text)
        return source.find(str(path))

    return make


@pytest.fixture
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of this test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TOOLKIT_CACHE_DIR", str(folder))
    return folder
