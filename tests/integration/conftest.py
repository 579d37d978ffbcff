"""What integration tests share."""

from pathlib import Path

import pytest

from tests.conftest import run_toolkit
from tests.integration.slow import recipe_in
from toolkit.runs import Run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Run:
    """The slow recipe, trained on two workers without a pause or a failure."""
    folder = tmp_path_factory.mktemp("undisturbed")
    options = ("--workers", "2", "--runs-dir", folder, "--json")
    result = run_toolkit("train", recipe_in(folder, pause=0.0), *options)
    assert result.code == 0, result.err
    return Run(Path(result.json["run"]))
