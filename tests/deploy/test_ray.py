"""The cluster launcher's files, judged by Ray's own checks, and by a real `ray start`."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster_of_nodes import QUICK
from tests.conftest import ROOT

FILES = ["cluster.yaml", "cluster-aws.yaml"]


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "deploy/ray" / name).read_text())


@pytest.mark.parametrize("name", FILES)
def test_ray_accepts_the_file(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    filled = prepare_config(read(name))
    validate_config(filled)
    assert filled["cluster_name"] == "toolkit"
    assert filled["head_node_type"] in filled["available_node_types"]


def test_rays_check_would_notice_a_mistake() -> None:
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    with pytest.raises(ValidationError, match="setup_command"):
        validate_config(prepare_config(read("cluster.yaml") | {"setup_command": []}))


def test_every_listed_machine_becomes_a_worker() -> None:
    from ray.autoscaler._private.util import prepare_config

    filled = prepare_config(read("cluster.yaml"))
    (node_type,) = filled["available_node_types"].values()
    assert node_type["min_workers"] == len(filled["provider"]["worker_ips"]) == 2


def test_files_that_are_copied_exist_and_are_installed() -> None:
    config = read("cluster.yaml")
    for remote, local in config["file_mounts"].items():
        assert (ROOT / local).is_file()
        assert any(f"-r {remote}" in command for command in config["setup_commands"])


@pytest.mark.parametrize("name", FILES)
def test_start_commands_use_options_that_ray_start_has(name: str) -> None:
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in parameter.opts}
    config = read(name)
    for command in config["head_start_ray_commands"] + config["worker_start_ray_commands"]:
        words = shlex.split(command)
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= known, command


@pytest.mark.parametrize("name", FILES)
def test_the_head_looks_for_lost_nodes_as_often_as_the_tests_do(name: str) -> None:
    (command,) = [each for each in read(name)["head_start_ray_commands"] if "--head" in each]
    assert dict(re.findall(r"(RAY_health_check_\w+)=(\d+)", command)) == QUICK


def test_the_guide_gives_the_same_settings() -> None:
    guide = (ROOT / "docs/cluster.md").read_text()
    assert dict(re.findall(r"(RAY_health_check_\w+)=(\d+)", guide)) == QUICK


def test_no_file_holds_an_address_that_belongs_to_someone() -> None:
    """Documentation's own addresses and names alone (RFC 5737, RFC 2606)."""
    for path in sorted(Path(ROOT, "deploy").rglob("*")):
        if path.is_file():
            text = path.read_text()
            addresses = re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)
            assert all(re.match(r"192\.0\.2\.|0\.0\.0\.0|127\.", each) for each in addresses), path
            hosts = re.findall(r"[\w.]+(?=/edge-deployment-toolkit:)", text)
            assert set(hosts) <= {"registry.example.com"}, path
