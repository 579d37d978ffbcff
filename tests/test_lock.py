"""requirements.lock: what it pins can be installed on every Python that pyproject.toml allows."""

import importlib.metadata
import tomllib

import pytest
from packaging.specifiers import SpecifierSet

from tests.conftest import ROOT


@pytest.mark.parametrize("python", ["3.11.0", "3.12.0", "3.13.0"])
def test_pinned_packages_take_the_first_release_of_each_python(python):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert python in SpecifierSet(project["requires-python"])
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pinned = [line.partition("==")[0] for line in lines if "==" in line and line[0] != "#"]
    assert len(pinned) > 100
    wanted = {name: importlib.metadata.metadata(name).get("Requires-Python") for name in pinned}
    refused = [
        f"{name} {wish}" for name, wish in wanted.items() if python not in SpecifierSet(wish or "")
    ]
    assert refused == []
