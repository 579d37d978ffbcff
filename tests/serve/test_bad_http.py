"""Every kind of bad request over HTTP: status, words, nothing told of the server, no harm done."""

import contextlib
import http.client
import json
import re
import time

import psutil
import pytest

from tests.serve import bad_requests, tiny
from tests.serve.running import ROOT, Running

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

CASES = bad_requests.cases()
GROWTH_MB = 8  # what an allocator may keep; a leak of 10 KB a request would be more
GOOD = {
    "number": ([[1.5]], [[2.75]]),
    "flag": ([[True, False]], [[1.0, 0.0]]),
    "text": (["a b"], [[3.0]]),
}


class Asker:
    """Asks on one connection, which is opened again where the server closed it."""

    def __init__(self, running, folder):
        self.running, self.folder = running, str(folder)
        self.connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)

    def __call__(self, method, path, body, headers=()):
        """(status, headers, bytes)."""
        self.connection.request(method, path, body, dict(headers))
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def bad(self, case):
        """The text of the error, after all that is the same for all errors."""
        status, headers, content = self(case.method, case.path, case.body, case.headers)
        text = content.decode()
        assert status == case.status, text
        assert headers["Content-Type"] == "application/json"
        assert headers["X-Request-Id"]
        value = json.loads(text)
        assert list(value) == ["error"]
        assert self.folder not in text
        assert str(ROOT) not in text
        assert not re.search(r'Traceback|File "|\.py\b|site-packages|0x[0-9a-f]{6}', text), text
        return value["error"]

    def memory_mb(self):
        return psutil.Process(self.running.process.pid).memory_info().rss / 2**20


@pytest.fixture(scope="module")
def asker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    paths = [tiny.write(folder, name) for name in tiny.NAMES]
    with Running(*paths, "--allow-unverified") as running:
        assert running.port, running.text
        made = Asker(running, folder)
        with contextlib.closing(made.connection):
            yield made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_refused(case, asker):
    message = asker.bad(case)
    missing = [word for word in case.words if word not in message]
    assert not missing, message
    assert len(message) < 600


def test_no_memory_is_kept_and_good_requests_are_answered(asker):
    for case in CASES:  # allocators have what they need after a round
        asker.bad(case)
    before = asker.memory_mb()
    for case in CASES:
        asker.bad(case)
    assert asker.memory_mb() - before < GROWTH_MB
    for model, (rows, expected) in GOOD.items():
        body = json.dumps({"instances": rows})
        status, _, content = asker("POST", f"/v1/models/{model}:predict", body)
        assert (status, json.loads(content)) == (200, {"predictions": expected})
    assert asker("GET", "/health/ready", None)[0] == 200
    assert asker.running.process.poll() is None


def test_refusals_are_logged_with_their_reason(asker):
    cases = {f"told-{index}": case for index, case in enumerate(CASES[::25])}
    for name, case in cases.items():
        asker(case.method, case.path, case.body, {**case.headers, "X-Request-Id": name})
    end = time.monotonic() + 10
    rows = {}
    while len(rows) < len(cases) and time.monotonic() < end:
        rows = {row["id"]: row for row in asker.running.log if row.get("id") in cases}
        time.sleep(0.02)
    assert rows.keys() == cases.keys()
    for name, row in rows.items():
        assert (row["status"], row["level"]) == (cases[name].status, "warning")
        assert row["reason"]
    assert not any(row["event"] == "text" for row in asker.running.log)  # no traceback
