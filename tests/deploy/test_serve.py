"""The manifests that serve models, as far as they can be judged without Kubernetes."""

import re
from typing import Any

import yaml

from tests.conftest import ROOT
from toolkit.cli_serve import serve
from toolkit.serve.guard import OPEN
from toolkit.serve.on_ray import build
from toolkit.serve.settings import Batching, Limits

FOLDER = ROOT / "deploy/kubernetes"


def read(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def test_the_deployment_starts_the_command_as_it_is() -> None:
    deployment, service, budget = read("serve.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    command, *arguments = container["args"]
    assert command == "serve"
    given = serve.make_context("serve", arguments).params
    assert given["models"] == ("/models/digits",)
    assert given["host"] == "0.0.0.0"
    assert given["linger"] < pod["terminationGracePeriodSeconds"] - 30  # the server's own drain
    assert {each["name"] for each in container["env"]} == {"TOOLKIT_TOKEN"}
    assert container["ports"] == [{"name": "http", "containerPort": given["port"]}]
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (given["port"], "http")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        budget["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()


def test_probes_ask_what_needs_no_token() -> None:
    (container,) = read("serve.yaml")[0]["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in OPEN
        assert container[probe]["httpGet"]["port"] == "http"


def test_the_pod_may_do_nothing_but_serve() -> None:
    pod = read("serve.yaml")[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounted["models"]["readOnly"]
    assert set(mounted) == {volume["name"] for volume in pod["volumes"]}


def test_images_are_those_that_docker_builds() -> None:
    text = (ROOT / "deploy/docker/Dockerfile.serve").read_text()
    (image,) = re.findall(r"-t (\S+) \.", text)
    (container,) = read("serve.yaml")[0]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == image


def test_the_ray_service_is_what_ray_serve_reads(monkeypatch: Any) -> None:
    from ray.serve.schema import ServeDeploySchema

    (manifest,) = read("rayservice.yaml")
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayService")
    config = ServeDeploySchema.model_validate(yaml.safe_load(manifest["spec"]["serveConfigV2"]))
    (application,) = config.applications
    module, _, name = application.import_path.partition(":")
    assert (module, name) == (build.__module__, build.__name__)
    Batching(**application.args["batching"])
    Limits(**application.args["limits"])
    monkeypatch.setenv("TOOLKIT_TOKEN", "secret")
    monkeypatch.setattr("toolkit.serve.on_ray.Source.parse", lambda text: text)
    built: list[Any] = []
    monkeypatch.setattr("toolkit.serve.on_ray.application", lambda *given: built.append(given))
    build(application.args)
    sources, settings, replicas = built[0]
    assert sources == ["digits=/runs/models/digits"]
    assert settings.token == "secret"
    assert replicas.count == (1, 8)


def test_every_node_of_the_ray_service_has_the_token_and_the_models() -> None:
    spec = read("rayservice.yaml")[0]["spec"]["rayClusterConfig"]
    assert f"ray=={spec['rayVersion']}" in (ROOT / "requirements.lock").read_text().split()
    for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]:
        (container,) = group["template"]["spec"]["containers"]
        assert "TOOLKIT_TOKEN" in {each["name"] for each in container["env"]}
        assert {each["mountPath"] for each in container["volumeMounts"]} == {"/runs"}
        assert {"name": "serve", "containerPort": 8000} in container["ports"]
