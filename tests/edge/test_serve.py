"""The HTTP server as a process, asked by a real client and by raw sockets."""

import http.client
import io
import json
import socket
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def test_it_answers(serving, make_bundle):
    server = serving(make_bundle(), "--allow-unsigned", "--workers", "2")
    expected = {"outputs": {"twice": [[8]]}, "answers": [8], "labels": None}
    assert server.predict(4.0)[:2] == (200, expected)
    assert server.predict({"value": [[4]]})[:2] == (200, expected)
    assert server.ask("GET", "/health")[:2] == (200, {"status": "ok"})
    status, told, _ = server.ask("GET", "/info")
    assert (status, told["inputs"][0]["name"], told["manifest"]["name"]) == (200, "value", "double")
    assert server.stop() == (0, "")


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def wav(*samples):
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setparams((1, 2, 8000, 0, "NONE", ""))
        opened.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


def test_bytes_of_files(serving, tflite):
    server = serving(tflite())
    for kind, body, outputs in (
        ("application/x-npy", npy(np.array([[1.0], [2.0]])), [[2], [4]]),
        ("text/csv; charset=utf-8", b"value\n3\n", [[6]]),
        ("audio/wav", wav(2**14), [[1]]),
    ):
        status, answer, _ = server.ask("POST", "/predict", body, Content_Type=kind)
        assert (status, answer["outputs"]["y"]) == (200, outputs)


def test_what_is_wrong_is_said_in_json(serving, tflite):
    server = serving(tflite(), "--max-body-kb", "1")
    for method, path, body, headers, status, words in (
        ("GET", "/", None, {}, 404, "no /; there is: /predict, /health, /info"),
        ("GET", "/predict", None, {}, 405, "takes POST"),
        ("POST", "/health", b"{}", {}, 405, "takes GET"),
        ("DELETE", "/predict", None, {}, 405, "takes POST"),
        ("POST", "/predict", b"{", {}, 400, "not JSON"),
        ("POST", "/predict", b"[1]", {}, 400, 'expected a JSON object {"inputs": ...}'),
        ("POST", "/predict", b'{"inputs": NaN}', {}, 400, "NaN or infinity"),
        ("POST", "/predict", b'{"inputs": {"z": 1}}', {}, 400, "no input is called 'z'"),
        ("POST", "/predict", b'{"inputs": [[1, 2]]}', {}, 400, "expected one sample of shape"),
        ("POST", "/predict", b'{"inputs": "a.npy"}', {}, 400, "something else than numbers"),
        ("POST", "/predict", b"[" * 1000, {}, 400, "not JSON"),
        ("POST", "/predict", b" " * 1025, {}, 413, "over the limit of 1024 bytes"),
        ("POST", "/predict", b"x", {"Content_Type": "text/html"}, 415, "text/html is none of"),
        ("POST", "/predict", b"x", {"Content_Type": "application/x-npy"}, 400, "input .npy"),
        ("GET", "/health", None, {"Host": "evil.example"}, 403, "another name"),
    ):
        got, answer, _ = server.ask(method, path, body, **headers)
        assert (got, list(answer)) == (status, ["error"])
        assert words in answer["error"]
    assert server.predict(1.0)[0] == 200
    assert server.stop() == (0, "")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST /predict HTTP/1.1\r\nHost: localhost\r\n\r\n", b"411"),
        (
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"411",
        ),
        (b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"411"),
        (
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9" + b"9" * 30
            + b"\r\n\r\n",
            b"413",
        ),
        (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET /health HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"),
        (b"BREW /predict HTTP/1.1\r\nHost: localhost\r\n\r\n", b"501"),
    ],
)  # fmt: skip
def test_what_is_hardly_http(serving, tflite, request_bytes, status):
    server = serving(tflite())
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(request_bytes)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[:2] == [b"HTTP/1.1", status]
    assert list(json.loads(body)) == ["error"]
    assert server.predict(1.0)[0] == 200
    assert server.stop() == (0, "")


def test_a_token(serving, tflite):
    server = serving(tflite(), "--host", "0.0.0.0", EDGE_TOKEN="sésame")
    status, _, headers = server.predict(1.0)
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert server.predict(1.0, Authorization="Bearer wrong")[0] == 401
    assert server.ask("GET", "/info")[0] == 401
    assert server.ask("GET", "/health")[0] == 200


def test_other_addresses_need_a_token(tflite):
    command = [sys.executable, "-m", "edge", "serve", tflite(), "--host", "0.0.0.0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs a token" in done.stderr


def test_a_port_in_use_is_two(tflite, serving):
    server = serving(tflite())
    command = [sys.executable, "-m", "edge", "serve", tflite(), "--port", server.port]
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Address already in use" in done.stderr


def test_one_connection_many_requests(serving, tflite):
    server = serving(tflite())
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for value in range(50):
        client.request("POST", "/predict", json.dumps({"inputs": value}))
        assert json.loads(client.getresponse().read())["outputs"]["y"] == [[2 * value]]
    client.close()
