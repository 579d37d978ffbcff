"""The real TorchServe, started with the configuration in deploy/ on free ports, and asked."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.conftest import ROOT

CONFIG = ROOT / "deploy" / "torchserve" / "config.properties"
_READY_SECONDS, _STOP_SECONDS = 60, 20


def missing() -> str:
    """What has to be installed first, or ''."""
    if shutil.which("java") is None:
        return "Java is not installed; apt-get install openjdk-17-jre-headless"
    absent = [
        name
        for name, module in (("torchserve", "ts"), ("pyyaml", "yaml"))
        if find_spec(module) is None
    ]
    return f"pip install {' '.join(absent)}" if absent else ""


@dataclass(frozen=True)
class Reply:
    """An HTTP answer; `value` is its JSON."""

    status: int
    value: object


@dataclass(frozen=True)
class Server:
    """A running TorchServe with one model."""

    model: str
    ports: dict[int, int]
    folder: Path

    def key(self, kind: str = "inference") -> str:
        return json.loads((self.folder / "key_file.json").read_text())[kind]["key"]

    def call(self, port: int, path: str, body: bytes | None = None, key: str = "", **headers: str):
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        url = f"http://127.0.0.1:{self.ports[port]}{path}"
        request = urllib.request.Request(url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Reply(answer.status, json.load(answer))
        except urllib.error.HTTPError as error:
            return Reply(error.code, json.load(error))

    def ask(self, body: object, kind: str = "application/json") -> Reply:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": kind}
        return self.call(8080, f"/predictions/{self.model}", content, self.key(), **headers)

    def described(self) -> dict:
        return self.call(8081, f"/models/{self.model}", key=self.key("management")).value[0]


@contextlib.contextmanager
def serving(
    archive: Path, folder: Path, model: str, before: Sequence[str] = ()
) -> Iterator[Server]:
    """TorchServe with the archive as `model`, ready; ended, with its workers, on leaving.

    `before` is put before its command.
    """
    import psutil  # which torchserve brings along

    text, ports = on_free_ports(CONFIG.read_text())
    (folder / "config.properties").write_text(text)
    (folder / "tmp").mkdir()
    (folder / "store").mkdir()
    shutil.copy(archive, folder / "store")
    command = [
        *before,
        *(sys.executable, "-c", "from ts.model_server import start; start()"),
        *("--start", "--foreground", "--ncs", "--model-store", "store"),
        *("--models", f"{model}={archive.name}", "--ts-config", "config.properties"),
    ]
    own = {"TMPDIR": str(folder / "tmp"), "TEMP": str(folder / "tmp")}  # its pid file, sockets
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT
        )
    server = Server(model, ports, folder)
    family = []
    try:
        _wait(server, process)
        family = psutil.Process(process.pid).children(recursive=True)
        yield server
    finally:
        _stop(process, family)


def on_free_ports(text: str) -> tuple[str, dict[int, int]]:
    """The configuration with free ports instead of its own, and which became which."""
    with contextlib.ExitStack() as stack:
        ports = {}
        for found in re.findall(r"(?:127\.0\.0\.1:|_port=)(\d+)$", text, re.MULTILINE):
            taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            ports[int(found)] = taken.getsockname()[1]
    for old, new in ports.items():
        text = re.sub(rf"(127\.0\.0\.1:|_port=){old}$", rf"\g<1>{new}", text, flags=re.MULTILINE)
    return text, ports


def _wait(server: Server, process: subprocess.Popen) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if [w["status"] for w in server.described()["workers"]] == ["READY"]:
                return
        time.sleep(0.2)
    raise AssertionError((server.folder / "log").read_text()[-5000:])


def _stop(process: subprocess.Popen, family: list) -> None:
    """As `torchserve --stop` does it: Java gets SIGTERM and ends its workers itself."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        family = family or psutil.Process(process.pid).children(recursive=True)
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            if each.name() == "java":
                each.send_signal(signal.SIGTERM)
    _, left = psutil.wait_procs(family, timeout=_STOP_SECONDS)
    for each in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    if process.poll() is None:
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert not left, f"TorchServe did not end by itself: {left}"
