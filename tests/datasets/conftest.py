"""A registry that answers as npm's does, on this machine."""

import base64
import hashlib
import http.server
import io
import tarfile
import threading
from dataclasses import dataclass, field

import pytest


@dataclass
class Registry:
    """Paths it knows, and what it sends for them.

    Attributes:
        url: its address.
        files: path -> content.
        cut: bytes of the content that are not sent, though promised.
        asked: paths in the order they were asked for.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: int = 0
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """A running registry that this process's npm settings name; data go to a folder of the test."""
    made = Registry()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            made.asked.append(self.path)
            content = made.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) - made.cut])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("npm_config_registry", made.url)
    monkeypatch.setenv("PATH", str(tmp_path))  # without npm, which takes seconds to answer
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("TOOLKIT_DATA_DIR", str(tmp_path / "data"))
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def tarball(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    """A .tgz of files, and of members as they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def integrity(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
