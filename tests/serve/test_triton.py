"""Our Open Inference Protocol against a real tritonserver: the same requests, field by field."""

import http.client
import json

import numpy as np
import pytest

from tests.serve import tiny, triton
from tests.serve.running import Running
from tests.serve.triton_differences import DIFFERENT, JSON_500, SAME
from tests.serve.triton_requests import ALL, GOOD, WIDE, ask, get, out, packed, two
from toolkit.serve.oip_inputs import DATATYPES

pytestmark = pytest.mark.soak
MODELS = ("number", "two", "image", "text", "flag", "free", *(f"same_{dtype}" for dtype in WIDE))
DTYPES = {name: np.dtype(dtype) for dtype, name in DATATYPES.items() if name != "BYTES"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """(our port, Triton's port) of servers with the same models."""
    pytest.importorskip("onnxruntime")
    home = triton.installed()
    if home is None:
        pytest.skip(f"no real Triton here: pip cannot install {' '.join(triton.PACKAGES)}")
    folder = tmp_path_factory.mktemp("triton")
    versions = tiny.versions(folder, MODELS)
    triton.write_repository(folder / "repository", versions)
    real = triton.Triton(home, folder / "repository", folder / "triton.log")
    try:
        if not real.wait():
            pytest.skip(f"Triton does not start here: {real.log.read_text()[-400:]}")
        paths = [folder / f"{name}.onnx" for name in MODELS]
        with Running(*paths, "--allow-unverified") as ours:
            assert ours.port, ours.text
            yield ours.port, real.port
    finally:
        real.close()


def send(port, request):
    """(status, headers, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(*request)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def both(servers, request):
    return [send(port, request) for port in servers]


def read(answer):
    """(fields but the outputs, outputs by name) of a good answer; arrays instead of data."""
    status, headers, body = answer
    assert status == 200, body
    length = headers["Inference-Header-Content-Length"]
    end = int(length) if length else len(body)
    kind = "application/octet-stream" if length else "application/json"
    assert headers["Content-Type"] == kind
    fields = json.loads(body[:end])
    outputs = {}
    for row in fields.pop("outputs"):
        size = row.get("parameters", {}).get("binary_data_size")
        if size is not None:
            row["data"], end = body[end : end + size], end + size
        outputs[row.pop("name")] = row
    assert end == len(body)
    return fields, {name: {**row, "data": _values(row)} for name, row in outputs.items()}


def _values(row):
    """Data as they were sent, but for the digits of floats in JSON."""
    data = row["data"]
    if isinstance(data, bytes) or row["datatype"] == "BYTES":
        return data
    return np.array(data, DTYPES[row["datatype"]]).tolist()


@pytest.mark.parametrize("name", GOOD)
def test_both_answer_the_same(servers, name):
    ours, real = both(servers, GOOD[name])
    assert read(ours) == read(real)


@pytest.mark.parametrize("name", SAME)
def test_both_refuse_with_the_same_status(servers, name):
    status, request = SAME[name]
    ours, real = both(servers, request)
    assert (ours[0], real[0]) == (status, status), (ours[2], real[2])
    assert list(json.loads(ours[2])) == list(json.loads(real[2])) == ["error"]
    assert ours[1]["Content-Type"] == "application/json"


@pytest.mark.parametrize("name", JSON_500)
def test_the_clients_fault_is_400_of_us_and_500_of_triton(servers, name):
    ours, real = both(servers, JSON_500[name])
    assert (ours[0], real[0]) == (400, 500), (ours[2], real[2])
    assert list(json.loads(ours[2])) == ["error"]


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_on_purpose(servers, name):
    *statuses, request = DIFFERENT[name]
    ours, real = both(servers, request)
    assert [ours[0], real[0]] == statuses, (ours[2], real[2])


@pytest.mark.parametrize("model", MODELS)
def test_metadata(servers, model):
    for path in (f"/v2/models/{model}", f"/v2/models/{model}/versions/1"):
        ours, real = [json.loads(body) for _, _, body in both(servers, get(path))]
        assert set(ours) - set(real) == {"parameters"}
        for field in ("name", "versions", "inputs", "outputs"):
            assert ours[field] == real[field]


def test_the_server_and_its_health(servers):
    ours, real = [json.loads(body) for _, _, body in both(servers, get("/v2"))]
    assert set(ours) == set(real) == {"name", "version", "extensions"}
    assert set(ours["extensions"]) <= set(real["extensions"])
    for path in ("health/live", "health/ready", "models/two/ready", "models/two/versions/1/ready"):
        assert [answer[0] for answer in both(servers, get(f"/v2/{path}"))] == [200, 200]


def test_infinity_is_null_in_json_and_itself_in_bytes(servers):
    values = np.array([[1, np.nan, np.inf]], "<f8")
    ours, real = both(servers, packed("same_float64", ("x", values)))
    assert json.loads(ours[2])["outputs"][0]["data"] == [1.0, None, None]
    np.testing.assert_equal(json.loads(real[2])["outputs"][0]["data"], values[0].tolist())
    ours, real = both(servers, packed("same_float64", ("x", values), **ALL))
    assert read(ours) == read(real)


def test_our_outputs_are_as_they_were_asked_for(servers):
    """In the request's order; binary_data_output counts for those that do not say otherwise."""
    request = ask("two", *two, outputs=[out("twice", binary_data=False), out("total")], **ALL)
    ours, real = both(servers, request)
    fields = json.loads(ours[2][: int(ours[1]["Inference-Header-Content-Length"])])
    assert [row["name"] for row in fields["outputs"]] == ["twice", "total"]
    assert ["data" in row for row in fields["outputs"]] == [True, False]
    assert [row["name"] for row in json.loads(real[2])["outputs"]] == ["total", "twice"]
