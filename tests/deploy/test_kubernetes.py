"""The manifests for KubeRay's v1 interface, as far as they can be judged without Kubernetes."""

import re
import shlex
from typing import Any

import pytest
import yaml

from tests.cluster_of_nodes import QUICK
from tests.conftest import ROOT
from toolkit.cli import cli

FOLDER = ROOT / "deploy/kubernetes"
# Fields of KubeRay's v1 types that the files may use.
CLUSTER = {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
HEAD = {"rayStartParams", "template"}
WORKERS = HEAD | {"groupName", "replicas", "minReplicas", "maxReplicas"}
JOB = {"entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"}
POD = {"terminationGracePeriodSeconds", "securityContext", "containers", "volumes"}
CONTAINER = {"name", "image", "env", "ports", "resources", "lifecycle", "volumeMounts"}

Object = dict[str, Any]


def read(name: str) -> Object:
    return yaml.safe_load((FOLDER / name).read_text())


def cluster_spec(name: str) -> Object:
    spec = read(name)["spec"]
    return spec.get("rayClusterSpec", spec)


def groups(spec: Object) -> list[Object]:
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def containers(spec: Object) -> list[Object]:
    return [each for group in groups(spec) for each in group["template"]["spec"]["containers"]]


def built_images() -> dict[str, str]:
    """By file: the name that the Dockerfile's own build command gives."""
    found = {}
    for path in (ROOT / "deploy/docker").glob("Dockerfile*"):
        (image,) = re.findall(
            rf"docker build -f deploy/docker/{path.name} -t (\S+) \.", path.read_text()
        )
        found[path.name] = image
    return found


both = pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml"])


@both
def test_kind_and_fields_are_kuberays(name: str) -> None:
    manifest = read(name)
    assert manifest["apiVersion"] == "ray.io/v1"
    assert manifest["kind"].lower() == name.removesuffix(".yaml")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", manifest["metadata"]["name"])
    if manifest["kind"] == "RayJob":
        assert set(manifest["spec"]) == JOB
    spec = cluster_spec(name)
    assert set(spec) == CLUSTER
    assert set(spec["headGroupSpec"]) == HEAD
    assert [set(group) for group in spec["workerGroupSpecs"]] == [WORKERS]
    for group in groups(spec):
        assert set(group["template"]["spec"]) == POD
        (container,) = group["template"]["spec"]["containers"]
        assert set(container) <= CONTAINER
        assert {"name", "image", "resources", "volumeMounts"} <= set(container)


@both
def test_values_have_the_types_that_kubernetes_wants(name: str) -> None:
    spec = cluster_spec(name)
    for group in groups(spec):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    for container in containers(spec):
        assert all(isinstance(each["value"], str) for each in container.get("env", []))
        for kind in ("requests", "limits"):
            assert set(container["resources"][kind]) == {"cpu", "memory"}
    for group in spec["workerGroupSpecs"]:
        assert 0 < group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


@both
def test_ray_start_has_the_parameters(name: str) -> None:
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in parameter.opts}
    for group in groups(cluster_spec(name)):
        assert {f"--{each}" for each in group["rayStartParams"]} <= known


@both
def test_ray_is_the_locked_version(name: str) -> None:
    version = cluster_spec(name)["rayVersion"]
    assert f"ray=={version}" in (ROOT / "requirements.lock").read_text().split()


@both
def test_images_are_those_that_docker_builds(name: str) -> None:
    images = {container["image"] for container in containers(cluster_spec(name))}
    assert images == {built_images()["Dockerfile"]}


@both
def test_volumes_are_mounted_and_claimed(name: str) -> None:
    claim = read("storage.yaml")
    assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
    for group in groups(cluster_spec(name)):
        pod = group["template"]["spec"]
        volumes = {each["name"]: each for each in pod["volumes"]}
        mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
        assert mounts == {"runs": "/runs"}
        assert set(volumes) == set(mounts)
        claimed = volumes["runs"]["persistentVolumeClaim"]["claimName"]
        assert claimed == claim["metadata"]["name"]


@both
def test_the_head_opens_rays_ports_and_looks_for_lost_nodes(name: str) -> None:
    (head,) = cluster_spec(name)["headGroupSpec"]["template"]["spec"]["containers"]
    assert {each["containerPort"] for each in head["ports"]} == {6379, 8265, 10001}
    env = {each["name"]: each["value"] for each in head["env"]}
    assert {key: value for key, value in env.items() if "health" in key} == QUICK


@both
def test_a_pod_has_time_for_a_checkpoint(name: str) -> None:
    """Kubernetes' clock runs during the hook; what Ray allows a stopped job must fit too."""
    spec = cluster_spec(name)
    (head,) = spec["headGroupSpec"]["template"]["spec"]["containers"]
    wait = next(e["value"] for e in head["env"] if e["name"] == "RAY_JOB_STOP_WAIT_TIME_S")
    for group in groups(spec):
        pod = group["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] > int(wait)
        assert pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][:2] == [
            "/bin/sh",
            "-c",
        ]
    assert "pkill -TERM -x toolkit" in str(head["lifecycle"])


def test_both_files_describe_the_same_cluster() -> None:
    assert cluster_spec("raycluster.yaml") == cluster_spec("rayjob.yaml")


def commands() -> list[str]:
    """Every `toolkit ...` command in deploy/ and in the guide."""
    found = [read("rayjob.yaml")["spec"]["entrypoint"]]
    for path in [ROOT / "docs/cluster.md", *FOLDER.rglob("*.yaml")]:
        text = re.sub(r"\\\n[\s#]*", "", path.read_text())
        found += re.findall(r"^[\s#]*(?:ray job submit .* -- )?(toolkit [a-z][^#`\n]*)", text, re.M)
    return found


@pytest.mark.parametrize("command", commands())
def test_commands_are_ones_that_the_toolkit_has(command: str) -> None:
    name, *words = shlex.split(command)[1:]
    parameters = cli.commands[name].params
    known = {option for parameter in parameters for option in parameter.opts}
    used = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert used <= known


def test_the_entrypoint_would_be_parsed() -> None:
    words = shlex.split(read("rayjob.yaml")["spec"]["entrypoint"])
    assert words[:2] == ["toolkit", "train"]
    context = cli.commands["train"].make_context("train", words[2:])
    assert context.params["address"] == "auto"
    assert context.params["workers"] == (1, 4)
    assert str(context.params["runs_dir"]) == "/runs"


def test_the_gpu_patch_fits_the_cluster() -> None:
    manifest = read("raycluster.yaml")
    (patch,) = read("gpu/kustomization.yaml")["patches"]
    assert patch["target"]["kind"] == manifest["kind"]
    assert patch["target"]["name"] == manifest["metadata"]["name"]
    for change in yaml.safe_load(patch["patch"]):
        *parts, last = [part.replace("~1", "/") for part in change["path"].split("/")[1:]]
        place: Any = manifest
        for part in parts:
            place = place[int(part)] if isinstance(place, list) else place[part]
        assert (last in place) == (change["op"] == "replace")
        place[last] = change["value"]
    spec = manifest["spec"]
    assert {each["image"] for each in containers(spec)} == {built_images()["Dockerfile.gpu"]}
    assert [each["resources"]["limits"].get("nvidia.com/gpu") for each in containers(spec)] == [
        None,
        "1",
    ]


def test_kustomize_finds_its_files() -> None:
    for name in read("kustomization.yaml")["resources"]:
        assert (FOLDER / name).is_file()
    assert read("gpu/kustomization.yaml")["resources"] == [".."]
