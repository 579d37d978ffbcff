"""Clients that people have: Triton's own, and schemathesis, which asks whatever OpenAPI allows."""

import re
import subprocess
import sys

import numpy as np
import pytest

from tests.serve.running import SIDE, Running, bundle, expected

IMAGES = np.random.default_rng(1).integers(0, 256, (5, SIDE, SIDE, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Running(bundle(tmp_path_factory.mktemp("serve") / "shades.edge")) as running:
        assert running.port, running.text
        yield running


@pytest.fixture(scope="module")
def triton(server):
    http = pytest.importorskip("tritonclient.http")
    with http.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


def asked(images, binary=True):
    from tritonclient.http import InferInput

    tensor = InferInput("image", images.shape, "UINT8")
    tensor.set_data_from_numpy(images, binary_data=binary)
    return [tensor]


def test_triton_finds_the_server_and_the_model(triton):
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("shades")
    assert triton.is_model_ready("shades", "1")
    assert not triton.is_model_ready("none")
    assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]
    metadata = triton.get_model_metadata("shades")
    assert metadata["versions"] == ["1"]
    assert metadata["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, 2]}]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_triton_infers(triton, binary_in, binary_out):
    from tritonclient.http import InferRequestedOutput

    outputs = [InferRequestedOutput("logits", binary_data=binary_out)]
    answer = triton.infer("shades", asked(IMAGES, binary_in), outputs=outputs, request_id="7")
    np.testing.assert_allclose(answer.as_numpy("logits"), expected(IMAGES), atol=1e-6)
    assert answer.get_response()["id"] == "7"
    assert answer.get_response()["model_version"] == "1"


def test_triton_is_told_of_all_outputs_where_it_names_none(triton):
    answer = triton.infer("shades", asked(IMAGES))
    np.testing.assert_allclose(answer.as_numpy("logits"), expected(IMAGES), atol=1e-6)


def test_triton_gets_classes(triton):
    from tritonclient.http import InferRequestedOutput

    outputs = [InferRequestedOutput("logits", class_count=1)]
    rows = triton.infer("shades", asked(IMAGES), outputs=outputs).as_numpy("logits")
    labels = [row[0].decode().split(":")[2] for row in rows]
    assert labels == [["dark", "bright"][int(place)] for place in expected(IMAGES).argmax(1)]


def test_triton_compresses_if_it_likes(triton):
    answer = triton.infer("shades", asked(IMAGES), request_compression_algorithm="gzip")
    np.testing.assert_allclose(answer.as_numpy("logits"), expected(IMAGES), atol=1e-6)


def test_triton_is_told_what_is_wrong(triton):
    from tritonclient.http import InferInput
    from tritonclient.utils import InferenceServerException

    tensor = InferInput("picture", [1, SIDE, SIDE, 1], "UINT8")
    tensor.set_data_from_numpy(IMAGES[:1])
    with pytest.raises(InferenceServerException, match="image") as caught:
        triton.infer("shades", [tensor])
    assert caught.value.status() == "400"


def test_whatever_openapi_allows_gives_no_5xx(server):
    """schemathesis makes requests of the document, right ones and wrong ones."""
    pytest.importorskip("schemathesis")
    url = f"http://127.0.0.1:{server.port}/openapi.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", url]
    # A schema cannot say that data are as many as the shape says.
    flags = ["--exclude-checks", "positive_data_acceptance", "--continue-on-failure"]
    done = subprocess.run(
        [*command, *flags, "--max-examples", "8", "--seed", "1", "--no-color"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    generated = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert generated is not None
    assert int(generated[1]) > 100
    assert server.get("/health/ready")[1] == {"ready": True}
