"""The systemd unit: hardened, and its commands are ones that the edge runtime has."""

import configparser
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

UNIT = ROOT / "deploy" / "systemd" / "edge-serve@.service"


@pytest.fixture(scope="module")
def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment]
    unit.read(UNIT)
    assert unit.sections() == ["Unit", "Service", "Install"]
    return unit["Service"]


def test_it_is_hardened(service) -> None:
    for name in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "ProtectHome"):
        assert service[name] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""


@pytest.mark.parametrize("name", ["ExecStartPre", "ExecStart"])
def test_its_commands_are_ones_that_edge_has(service, name: str) -> None:
    python, zipapp, command, bundle, *options = service[name].split()
    assert (python, zipapp) == ("/opt/edge/venv/bin/python", "/opt/edge/edge.pyz")
    assert bundle == "/var/lib/edge/%i.edge"
    asked = [sys.executable, "-m", "edge", command, "/absent.edge", *options]
    done = subprocess.run(asked, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "/absent.edge" in done.stderr  # the command was understood, the file is missing


def test_systemd_accepts_it(tmp_path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed here")
    text = UNIT.read_text().replace("/opt/edge/venv/bin/python", sys.executable)
    path = tmp_path / "edge-serve@x.service"
    path.write_text(text)
    asked = [tool, "verify", "--man=no", str(path)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, env=os.environ)
    assert "Unknown" not in done.stderr
