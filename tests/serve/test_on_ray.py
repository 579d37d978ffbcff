"""The same application in replicas on Ray Serve, started as users start it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest

from benchmarks.harness import free_ports
from tests.conftest import ROOT
from tests.serve.running import SIDE, bundle, expected
from toolkit.errors import UsageError
from toolkit.serve.on_ray import Replicas, build

IMAGES = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 1)).astype(np.uint8)


@contextlib.contextmanager
def on_ray(path, *flags):
    """(base URL, process) of `toolkit serve --ray`."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "toolkit", "serve", str(path), "--ray", "--port", str(port)]
    environment = {**os.environ, "RAY_ADDRESS": ""}
    environment.pop("RAY_ADDRESS")
    process = subprocess.Popen(
        [*command, *flags], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        told = []
        for line in process.stderr:
            told.append(line)
            if re.search(r"\bserving\b.*address", line):
                break
        else:
            pytest.fail("".join(told))
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=90)
        print("".join(told), rest)


def ask(base, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(base + path, data, timeout=30) as answer:
        return json.load(answer), answer.headers


def test_replicas_answer_as_one_process_does(tmp_path):
    path = bundle(tmp_path / "shades.edge")
    with on_ray(path, "--replicas", "2", "--cpus", "0.5") as (base, process):
        assert ask(base, "/health/ready")[0] == {"ready": True}
        for _ in range(10):
            value, headers = ask(base, "/v1/models/shades:predict", {"instances": IMAGES.tolist()})
            np.testing.assert_allclose(value["predictions"], expected(IMAGES), atol=1e-6)
            assert len(headers.get_all("x-request-id")) == 1
        (model,) = ask(base, "/api/models")[0]["models"]
        assert model["versions"][0]["proof"]["verified"]
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert process.wait(60) == 0
        assert time.monotonic() - begun < 45


@pytest.mark.soak
def test_haproxy_ends_with_the_server(tmp_path):
    import psutil

    path = bundle(tmp_path / "shades.edge")
    with on_ray(path, "--haproxy") as (base, process):
        value, _ = ask(base, "/v1/models/shades:predict", {"instances": IMAGES.tolist()})
        np.testing.assert_allclose(value["predictions"], expected(IMAGES), atol=1e-6)
        family = psutil.Process(process.pid).children(recursive=True)
        proxies = [each for each in family if "haproxy" in each.name()]
        assert proxies
        assert open_to_all(proxies) == set()  # Ray's statistics and metrics would be
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert process.wait(90) == 0
        assert time.monotonic() - begun < 25  # Ray's own period of draining alone is 30
    assert not any(each.is_running() for each in proxies)


def open_to_all(processes):
    """Ports on which they listen for other machines."""
    found = [row for each in processes for row in each.net_connections("tcp")]
    return {
        row.laddr.port
        for row in found
        if row.status == "LISTEN" and row.laddr.ip not in ("127.0.0.1", "::1")
    }


def test_the_builder_of_configuration_files(monkeypatch, tmp_path):
    path = bundle(tmp_path / "shades.edge")
    args = {"models": [f"shades={path}"], "replicas": [1, 4], "cpus": 0.5}
    monkeypatch.delenv("TOOLKIT_TOKEN", raising=False)
    with pytest.raises(UsageError, match="TOOLKIT_TOKEN"):
        build(args)
    monkeypatch.setenv("TOOLKIT_TOKEN", "secret")
    deployment = build(args)._bound_deployment
    assert deployment._deployment_config.autoscaling_config.max_replicas == 4
    assert deployment.ray_actor_options["num_cpus"] == 0.5
    packed, settings = deployment.init_args
    assert packed[0][2] == path.read_bytes()
    assert settings.token == "secret"
    with pytest.raises(UsageError, match="batchig"):
        build(args | {"batchig": {}})
    with pytest.raises(UsageError, match="models"):
        build({})
    assert Replicas().count == (1, 1)
