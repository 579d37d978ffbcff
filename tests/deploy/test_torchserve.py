"""TorchServe's configuration: closed by default, and keys that TorchServe has."""

import re
import subprocess
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.deploy.test_docker import arguments, instructions

FOLDER = ROOT / "deploy" / "torchserve"


@pytest.fixture(scope="module")
def properties() -> dict[str, str]:
    lines = (FOLDER / "config.properties").read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    found = dict(pairs)
    assert len(found) == len(pairs)
    return found


def test_it_listens_on_loopback_and_wants_keys(properties):
    addresses = [value for name, value in properties.items() if name.endswith("_address")]
    assert len(addresses) == 5
    assert all("127.0.0.1" in address for address in addresses)
    assert properties["disable_token_authorization"] == "false"
    assert properties["enable_model_api"] == "false"
    assert properties["allowed_urls"] == "file://.*"


def test_every_key_is_one_that_torchserve_reads(properties):
    if (spec := find_spec("ts")) is None or spec.origin is None:
        pytest.skip("pip install torchserve")
    jar = Path(spec.origin).parent / "frontend" / "model-server.jar"
    with zipfile.ZipFile(jar) as members:
        code = members.read("org/pytorch/serve/util/ConfigManager.class")
    for name in properties:
        assert name.encode() in code, name


def test_the_image_is_built_from_what_is_here():
    path = FOLDER / "Dockerfile"
    for line in arguments(path, "COPY"):
        assert (FOLDER / line.split()[0]).exists()
    for command in arguments(path, "RUN"):
        subprocess.run(["bash", "-n", "-c", command], check=True)
    words = [word for word, _ in instructions(path)]
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "RUN")
    (change,) = [run for run in arguments(path, "RUN") if run.startswith("sed")]
    pattern = re.search(r"s/(.+?)/(.+?)/'", change)
    assert pattern is not None
    changed = re.sub(pattern[1], pattern[2], (FOLDER / "config.properties").read_text())
    assert "127.0.0.1" not in changed
    assert changed.count("0.0.0.0") == 6  # one in a comment
