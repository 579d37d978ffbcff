"""Checkpoints in S3, against moto's server: a real HTTP server with S3's protocol."""

import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from toolkit.errors import NotFoundError, StorageError
from toolkit.train import storage as module
from toolkit.train.checkpoints import Checkpoints, Identity
from toolkit.train.state import State
from toolkit.train.storage import Storage

IDENTITY = Identity("r", "tf", "d")


class Server:
    """moto's server on a free port, which may refuse requests; what it holds outlives a stop."""

    def __init__(self):
        self.port = 0
        self.refused = ""  # any request with this in its query, unless empty
        self.start()

    def start(self):
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", self.port, self._answer, threaded=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ, start_response):
        if self.refused and self.refused in environ["QUERY_STRING"]:
            environ["wsgi.input"].read()
            start_response("403 Forbidden", [("Content-Length", "0")])
            return [b""]
        return self._moto(environ, start_response)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def url(self, folder):
        return f"s3://bucket/{folder}?endpoint_override={self.endpoint}"

    def require_credentials(self, after="inf"):
        """Check signatures after so many requests."""
        kind = {"Content-Type": "application/octet-stream"}
        address = f"{self.endpoint}/moto-api/reset-auth"
        request = urllib.request.Request(address, str(after).encode(), kind, method="POST")
        urllib.request.urlopen(request).read()


@pytest.fixture(scope="module")
def server():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        server = Server()
        from pyarrow.fs import FileSystem

        creator = f"s3://?endpoint_override={server.endpoint}&allow_bucket_creation=true"
        FileSystem.from_uri(creator)[0].create_dir("bucket")
        yield server
        server.stop()


def state(step):
    return State(step, {"model.w": np.full((2, 3), step, np.float32)}, {"rows": []})


def value(found):
    return (found.step, float(found.arrays["model.w"].max()))


def test_save_keep_best_go_back_and_find_again(server):
    storage = Storage.at(server.url("runs/one/tf"))
    assert storage.location == "s3://bucket/runs/one/tf"
    checkpoints = Checkpoints(storage, IDENTITY, keep=2, best="val_loss")
    assert checkpoints.newest() == (None, [])
    for step, loss in [(10, 0.5), (20, 0.1), (30, 0.3), (40, 0.4)]:
        checkpoints.save(state(step), {"step": step, "val_loss": loss})
    files = [f"step-0000000{step}.safetensors" for step in (20, 30, 40)]
    assert storage.names() == ["index.json", *files]
    found, notes = Checkpoints(Storage.at(server.url("runs/one/tf")), IDENTITY).newest()
    assert (value(found), notes) == ((40, 40.0), [])
    checkpoints.save(state(25), {})
    assert storage.names() == [
        "index.json", "step-000000020.safetensors", "step-000000025.safetensors",
    ]  # fmt: skip


def test_damage_and_a_lost_list_are_told_and_survived(server):
    storage = Storage.at(server.url("damaged"))
    checkpoints = Checkpoints(storage, IDENTITY)
    for step in (10, 20, 30):
        checkpoints.save(state(step), {})
    storage.write("step-000000030.safetensors", b"half")
    found, notes = Checkpoints(storage, IDENTITY).newest()
    assert value(found) == (20, 20.0)
    assert notes == [
        "checkpoint step-000000030 is damaged (its SHA-256 differs); going back to step-000000020"
    ]
    storage.delete("index.json")
    storage.delete("index.json")
    found, notes = Checkpoints(storage, IDENTITY).newest()
    assert value(found) == (20, 20.0)
    text = "the list of checkpoints at s3://bucket/damaged is missing; "
    assert notes == [text + "2 of 3 files are good and were listed again"]


def test_the_server_may_be_named_in_the_environment(server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    Storage.at("s3://bucket/named").write("a", b"x")
    short = f"s3://bucket/named?scheme=http&endpoint_override=127.0.0.1:{server.port}"
    assert Storage.at(short).read("a") == b"x"
    login = f"s3://testing:testing@bucket/named?endpoint_override={server.endpoint}"
    assert Storage.at(login).names() == ["a"]


@pytest.mark.soak
def test_64_megabytes_there_and_back_take_seconds(server):
    storage = Storage.at(server.url("large"))
    content = np.random.default_rng(0).bytes(64 << 20)
    started = time.monotonic()
    storage.write("large", content)
    assert storage.read("large") == content
    assert time.monotonic() - started < 15


def test_a_missing_bucket_is_named(server):
    storage = Storage.at(f"s3://no-bucket/runs?endpoint_override={server.endpoint}")
    with pytest.raises(NotFoundError, match=r"no bucket 'no-bucket' for .*; create it, or correct"):
        Checkpoints(storage, IDENTITY)
    started = time.monotonic()
    with pytest.raises(StorageError, match=r"bucket does not exist.*; create the bucket, or"):
        storage.write("a", b"x")
    assert time.monotonic() - started < 0.4  # not tried again


def test_bad_credentials_are_told_at_once_and_not_shown(server):
    login = f"s3://WRONGKEY:wrongsecret@bucket/x?endpoint_override={server.endpoint}"
    storage = Storage.at(login)
    server.require_credentials(after=0)
    try:
        for action in (lambda: Checkpoints(storage, IDENTITY), lambda: storage.write("a", b"x")):
            with pytest.raises(StorageError, match="check the credentials") as caught:
                action()
            assert "wrongsecret" not in str(caught.value)
            assert "s3://bucket/x" in str(caught.value)
    finally:
        server.require_credentials()


@pytest.mark.parametrize("part", [1, 3, 7])
def test_an_upload_of_which_a_part_fails_leaves_the_old_content(server, monkeypatch, part):
    """Seven parts of 10 MB; the client must not complete the object from the others."""
    storage = Storage.at(server.url("parts"))
    storage.write("a", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(server, "refused", f"partNumber={part}&")
        with pytest.raises(StorageError, match="cannot write a to s3://bucket/parts"):
            storage.write("a", bytes(64 << 20))
    assert storage.read("a") == b"old"
    storage.write("a", b"new")
    assert storage.read("a") == b"new"


def test_a_server_that_goes_away_in_the_middle_of_a_save_and_comes_back(server, monkeypatch):
    """It stops between a checkpoint's file and the list; without pauses to save time."""
    monkeypatch.setattr(module, "_PAUSES", ())
    url = server.url("gone")
    storage = Storage.at(url)
    checkpoints = Checkpoints(storage, IDENTITY)
    checkpoints.save(state(10), {})
    write = storage.write

    def write_then_stop(name, content):
        write(name, content)
        server.stop()
        monkeypatch.setattr(storage, "write", write)

    monkeypatch.setattr(storage, "write", write_then_stop)
    with ThreadPoolExecutor() as pool:
        saving = pool.submit(checkpoints.save, state(20), {})
        while storage.write == write_then_stop and not saving.done():
            time.sleep(0.01)
        reading = pool.submit(Checkpoints, storage, IDENTITY)
        for work, what in ((saving, "write index.json to"), (reading, "read index.json from")):
            with pytest.raises(StorageError, match=f"cannot {what} s3://bucket/gone: .*connect"):
                work.result()
    server.start()
    assert "step-000000020.safetensors" in storage.names()
    again = Checkpoints(Storage.at(url), IDENTITY)
    assert (value(again.newest()[0]), again.newest()[1]) == ((10, 10.0), [])
    assert value(checkpoints.newest()[0]) == (10, 10.0)
    again.save(state(15), {})
    assert storage.names() == [
        "index.json", "step-000000010.safetensors", "step-000000015.safetensors",
    ]  # fmt: skip
