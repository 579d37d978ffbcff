"""The whole server over HTTP: both protocols, proofs, limits, tokens, logs, and its end."""

import concurrent.futures
import gzip
import http.client
import json
import shutil
import signal
import socket
import subprocess
import time
import zlib

import numpy as np
import pytest

from tests.serve.running import SIDE, Running, bundle, expected

IMAGES = np.random.default_rng(1).integers(0, 256, (5, SIDE, SIDE, 1)).astype(np.uint8)
PREDICT = "/v1/models/shades:predict"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    with Running(bundle(folder / "shades.edge")) as running:
        assert running.port, running.text
        yield running


def test_tensorflow_servings_rows_and_columns(server):
    status, value, _ = server.post(PREDICT, {"instances": IMAGES.tolist()})
    assert status == 200
    np.testing.assert_allclose(value["predictions"], expected(IMAGES), atol=1e-6)
    status, value, _ = server.post(PREDICT, {"inputs": {"image": IMAGES.tolist()}})
    assert status == 200
    np.testing.assert_allclose(value["outputs"], expected(IMAGES), atol=1e-6)


def test_versions_labels_status_and_metadata(server):
    assert (
        server.post("/v1/models/shades/versions/1:predict", {"instances": IMAGES.tolist()})[0]
        == 200
    )
    status, value, _ = server.post("/v1/models/shades/versions/7:predict", {"instances": [1]})
    assert status == 404
    assert "7" in value["error"]
    status, value, _ = server.post("/v1/models/shades/labels/stable:predict", {"instances": [1]})
    assert status == 404
    assert "stable" in value["error"]
    (row,) = server.get("/v1/models/shades")[1]["model_version_status"]
    assert (row["version"], row["state"]) == ("1", "AVAILABLE")
    assert row["status"] == {"error_code": "OK", "error_message": ""}
    signatures = server.get("/v1/models/shades/metadata")[1]["metadata"]["signature_def"]
    inputs = signatures["signature_def"]["serving_default"]["inputs"]
    assert [size["size"] for size in inputs["image"]["tensor_shape"]["dim"]] == [
        "-1",
        "4",
        "4",
        "1",
    ]


def test_classify_gives_labels(server):
    example = {"image": IMAGES[0].tolist()}
    status, value, _ = server.post("/v1/models/shades:classify", {"examples": [example]})
    assert status == 200
    assert {label for label, _ in value["results"][0]} == {"dark", "bright"}


def test_open_inference_protocol(server):
    assert server.get("/v2")[1]["name"]
    found = server.get("/v2/models/shades")[1]
    assert found["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 4, 4, 1]}]
    tensor = {"name": "image", "shape": list(IMAGES.shape), "datatype": "UINT8"}
    body = {"id": "42", "inputs": [tensor | {"data": IMAGES.ravel().tolist()}]}
    status, value, _ = server.post("/v2/models/shades/infer", body)
    assert (status, value["id"]) == (200, "42")
    np.testing.assert_allclose(
        np.reshape(value["outputs"][0]["data"], (-1, 2)), expected(IMAGES), atol=1e-6
    )


def test_a_person_tries_a_model(server):
    status, value, _ = server.post("/api/models/shades/try", {"inputs": IMAGES.tolist()})
    assert status == 200
    assert value["labels"] == [["dark", "bright"][int(i)] for i in expected(IMAGES).argmax(1)]
    (model,) = server.get("/api/models")[1]["models"]
    (version,) = model["versions"]
    assert version["proof"]["verified"]
    assert version["proof"]["samples"] == 12
    assert version["proof"]["error"] < 1e-5
    assert version["latency"]["count"] > 0


def test_every_address_of_the_document_answers_with_its_example(server):
    paths = server.get("/openapi.json")[1]["paths"]
    asked = {"/v1/models/shades:classify", "/api/models/shades/try", "/metrics"}
    asked |= {f"/v1/models/shades/versions/1:{verb}" for verb in ("predict", "classify")}
    assert asked | {"/v2/models/shades/versions/1/infer"} <= set(paths)
    assert "/v1/models/shades:regress" not in paths  # it has two values a sample
    for path, methods in paths.items():
        for method, operation in methods.items():
            body = None
            if method == "post":
                body = operation["requestBody"]["content"]["application/json"]["example"]
            status, value, _ = server.ask(method.upper(), path, body)
            assert status == 200, (path, value)


def test_the_pages(server):
    for path in (
        "/",
        "/health/live",
        "/health/ready",
        "/v2/health/live",
        "/v2/models/shades/ready",
    ):
        assert server.get(path)[0] == 200


def test_prometheus_reads_counts_and_proof(server):
    server.post(PREDICT, {"instances": IMAGES.tolist()})
    server.post(PREDICT, {"instances": "no"})
    status, text, headers = server.get("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    lines = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if line[0] != "#")
    assert float(lines['toolkit_model_verified{model="shades",version="1"}']) == 1
    assert float(lines['toolkit_request_errors_total{model="shades",status="400"}']) >= 1
    counts = 'toolkit_request_seconds_count{model="shades",protocol="predict",version="1"}'
    assert float(lines[counts]) >= 1


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("POST", "/v1/models/none:predict", 404, ["none", "shades"]),
        ("POST", "/v1/models/shades:guess", 404, [":guess", ":predict"]),
        ("GET", PREDICT, 405, []),
        ("DELETE", "/v2/models/shades", 405, []),
        ("GET", "/nothing", 404, ["/nothing", "/openapi.json"]),
        ("GET", "/v1/models/../../etc/passwd", 404, []),
        ("POST", "/v2/models/shades/versions/99999999999999999999/infer", 404, []),
    ],
)
def test_wrong_addresses(server, method, path, status, words):
    found, value, _ = server.ask(method, path, b"{}" if method == "POST" else None)
    assert found == status
    assert all(word in value["error"] for word in words)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="apt-get install wrk")
def test_the_load_of_the_benchmarks_counts_answers_and_notices_errors(server):
    from benchmarks.load import Question, as_json, load

    base, body = f"http://127.0.0.1:{server.port}", as_json({"instances": IMAGES.tolist()})
    found = load(base, Question(PREDICT, body), connections=2, seconds=1)
    assert found.rate > 1
    assert 0 < found.p99 < 20
    with pytest.raises(RuntimeError, match="errors"):
        load(base, Question(PREDICT, b"{}"), connections=1, seconds=1)


def test_every_answer_has_an_id_and_the_clients_is_kept(server):
    assert server.get("/health/live")[2]["X-Request-Id"]
    assert server.get("/health/live", X_Request_Id="mine-1")[2]["X-Request-Id"] == "mine-1"
    assert server.get("/health/live", X_Request_Id="a b\tc")[2]["X-Request-Id"] != "a b\tc"


def test_a_name_of_another_host_is_refused(server):
    status, value, _ = server.get("/api/models", Host="evil.example")
    assert status == 403
    assert "another name" in value["error"]


def test_requests_that_failed_are_told_with_their_reason(server):
    server.post(PREDICT, {"instances": []}, X_Request_Id="told-1")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        rows = [row for row in server.log if row.get("id") == "told-1"]
        if rows:
            break
        time.sleep(0.05)
    (row,) = rows
    assert (row["status"], row["path"], row["level"]) == (400, PREDICT, "warning")
    assert row["reason"]


def test_limits_of_a_body(tmp_path):
    with Running(bundle(tmp_path / "shades.edge"), "--max-body", "1", "--timeout", "1") as running:
        status, value, _ = running.post(PREDICT, b"[" * (1 << 21))
        assert status == 413
        assert "1048576" in value["error"]
        status, value, _ = running.post(PREDICT, b"[" * 100)
        assert status == 400
        assert "32" in value["error"]
        slow = socket.create_connection(("127.0.0.1", running.port))
        slow.sendall(
            b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{" % PREDICT.encode()
        )
        slow.settimeout(20)
        assert b" 408 " in slow.recv(4096)
        slow.close()


def test_a_packed_body_is_unpacked_within_the_limit(tmp_path):
    with Running(bundle(tmp_path / "shades.edge"), "--max-body", "1") as running:
        body = json.dumps({"instances": IMAGES.tolist()}).encode()
        assert running.post(PREDICT, gzip.compress(body), Content_Encoding="gzip")[0] == 200
        assert running.post(PREDICT, zlib.compress(body), Content_Encoding="deflate")[0] == 200
        bomb = gzip.compress(b" " * (64 << 20))
        assert running.post(PREDICT, bomb, Content_Encoding="gzip")[0] == 413
        for wrong in (body, gzip.compress(body)[:-9]):
            assert running.post(PREDICT, wrong, Content_Encoding="gzip")[0] == 400
        assert running.post(PREDICT, body, Content_Encoding="br")[0] == 415


def test_a_token_is_needed_where_there_is_one(tmp_path):
    token = "correct-horse-battery"
    path = bundle(tmp_path / "shades.edge")
    with Running(path, "--access-log", TOOLKIT_TOKEN=token) as running:
        assert running.get("/health/ready")[0] == 200
        assert running.get("/")[0] == 200
        for secret in (None, "Bearer wrong", token, f"Bearer {token}x", "Bearer " + "ü" * 9):
            headers = {} if secret is None else {"Authorization": secret.encode().decode("latin-1")}
            status, value, answered = running.get("/api/models", **headers)
            assert status == 401
            assert answered["WWW-Authenticate"] == "Bearer"
            assert token not in value["error"]
        assert running.get("/api/models", Authorization=f"Bearer {token}")[0] == 200
        assert running.end() == 0
        assert token not in running.text


def test_an_open_address_without_a_token_is_refused(tmp_path):
    with Running(bundle(tmp_path / "shades.edge"), "--host", "0.0.0.0") as running:
        assert running.process.wait(60) == 2
        assert "TOOLKIT_TOKEN" in running.text


def test_a_port_in_use_is_told_at_once(tmp_path, server):
    done = subprocess.run(
        [
            *server.process.args[:4],
            str(bundle(tmp_path / "shades.edge")),
            "--port",
            str(server.port),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert str(server.port) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("changes", "flags", "code", "words"),
    [
        ({"verified": False}, (), 1, ["--allow-unverified"]),
        ({"wrong": 0.3}, (), 1, ["wrong answer"]),
        ({"wrong": 0.3}, ("--allow-unverified",), 1, ["wrong answer"]),
    ],
)
def test_what_is_not_proven_is_refused(tmp_path, changes, flags, code, words):
    with Running(bundle(tmp_path / "shades.edge", **changes), *flags) as running:
        assert running.process.wait(60) == code
        assert all(word in running.text for word in words)
        assert "Traceback" not in running.text


def test_an_unverified_model_says_so(tmp_path):
    path = bundle(tmp_path / "shades.edge", verified=False)
    with Running(path, "--allow-unverified") as running:
        (model,) = running.get("/api/models")[1]["models"]
        assert model["versions"][0]["proof"]["verified"] is False
        assert (
            b'toolkit_model_verified{model="shades",version="1"} 0.0' in running.get("/metrics")[1]
        )


def test_a_new_version_takes_over_and_a_bad_one_does_not(tmp_path):
    folder = tmp_path / "shades"
    bundle(folder / "1" / "a.edge")
    ones = {"instances": IMAGES[:1].tolist()}
    answers, stop = [], False

    def ask(running):
        while not stop:
            status, value, _ = running.post(PREDICT, ones)
            answers.append((status, round(value["predictions"][0][1] / expected(IMAGES[:1])[0][1])))

    with Running(folder) as running, concurrent.futures.ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, running) for _ in range(4)]
        bundle(folder / "2" / "a.edge", factor=2.0)
        until(lambda: answers and answers[-1][1] == 2)
        bundle(folder / "3" / "a.edge", factor=3.0, wrong=1.0)
        until(lambda: state(running, 3))
        time.sleep(0.5)
        stop = True
        for each in asking:
            each.result(30)
        rows = {
            row["version"]: row
            for row in running.get("/v1/models/shades")[1]["model_version_status"]
        }
    assert {status for status, _ in answers} == {200}
    factors = [factor for _, factor in answers]
    assert set(factors) == {1, 2}
    assert factors[-1] == 2
    assert rows["2"]["state"] == "AVAILABLE"
    assert rows["3"]["status"]["error_message"]


def state(running, number):
    rows = running.get("/v1/models/shades")[1]["model_version_status"]
    return any(row["version"] == str(number) and row["status"]["error_message"] for row in rows)


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_loses_no_request(tmp_path, number):
    with Running(bundle(tmp_path / "shades.edge"), "--linger", "1") as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        connection.putrequest("POST", PREDICT)
        body = json.dumps({"instances": IMAGES.tolist()}).encode()
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        connection.send(body[:10])  # under way when the signal comes
        time.sleep(0.3)
        running.process.send_signal(number)
        time.sleep(0.4)
        status, _, headers = running.get("/health/ready")
        assert status == 503
        assert headers["Connection"] == "close"
        connection.send(body[10:])
        answer = connection.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read())["predictions"]
        connection.close()
        assert running.process.wait(30) == 0


def test_tls(tmp_path):
    import ssl
    import urllib.request

    kind = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    command = ["openssl", *kind.split(), *name, *files]
    subprocess.run(command, check=True, capture_output=True)
    flags = ("--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    with Running(bundle(tmp_path / "shades.edge"), *flags, "--grpc-port", "0") as running:
        context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        url = f"https://127.0.0.1:{running.port}/v2"
        assert urllib.request.urlopen(url, context=context).status == 200
        triton = pytest.importorskip("tritonclient.grpc")
        port = next(row["grpc_port"] for row in running.log if row["event"] == "serving")
        secure = {"ssl": True, "root_certificates": str(tmp_path / "cert.pem")}
        with triton.InferenceServerClient(f"127.0.0.1:{port}", **secure) as client:
            assert client.is_server_live()


def test_too_much_at_a_time_is_told_when_to_come_back(tmp_path):
    from benchmarks.serving import WIDTH, wide

    wide(tmp_path / "wide.onnx")
    flags = ("--allow-unverified", "--queue", "1", "--batch-size", "1", "--timeout", "60")
    with Running(tmp_path / "wide.onnx", *flags) as running:
        body = json.dumps({"instances": [[0.5] * WIDTH] * 64}).encode()

        def ask(_):
            return running.post("/v1/models/wide:predict", body)

        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(ask, range(96)))
    statuses = [status for status, _, _ in answers]
    assert set(statuses) == {200, 429}
    refused = next(answer for answer in answers if answer[0] == 429)
    assert int(refused[2]["Retry-After"]) >= 1
    assert "try again" in refused[1]["error"]


def test_an_answer_that_comes_too_late_is_504(tmp_path):
    from benchmarks.serving import WIDTH, wide

    wide(tmp_path / "wide.onnx")
    flags = ("--allow-unverified", "--timeout", "0.5", "--max-body", "64")
    rows = np.full((12_000, WIDTH), 0.5, np.float32)  # takes a second and more
    tensor = {"name": "input", "shape": rows.shape, "datatype": "FP32"}
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": rows.nbytes}}]})
    with Running(tmp_path / "wide.onnx", *flags) as running:
        status, value, _ = running.post(
            "/v2/models/wide/infer",
            head.encode() + rows.tobytes(),
            Inference_Header_Content_Length=str(len(head)),
        )
        assert (status, "too l" in value["error"]) == (504, True)
        assert running.get("/health/ready")[0] == 200
