"""A real tritonserver (of the wheel nvidia-pytriton) that computes as the models of tiny.py do."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from tests.serve import triton_model
from toolkit.serve.oip_inputs import DATATYPES

PACKAGES = ("nvidia-pytriton==0.7.0", "numpy==1.26.4")  # its Python backend cannot use numpy 2
CACHE = Path(__file__).parents[2] / ".cache" / "triton"
MOST = 64
"""Samples of a request."""


def installed():
    """The server's folder, installed into the cache if need be; None where it is not to be had.

    Nothing of it goes into the environment that runs the tests.
    """
    home = CACHE / "pytriton" / "tritonserver"
    if not (CACHE / "ready").exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--target", str(CACHE), *PACKAGES]
        if subprocess.run(command, check=False, timeout=600, capture_output=True).returncode:
            return None
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        stub = home / "python_backend_stubs" / version / "triton_python_backend_stub"
        if not stub.is_file():
            return None
        shutil.copy(stub, home / "backends" / "python")
        (CACHE / "ready").touch()
    return home


def write_repository(folder, versions):
    """Write Triton's repository of models for `versions`, as tiny.versions gives them."""
    for name, version in versions.items():
        place = folder / name / "1"
        place.mkdir(parents=True)
        shutil.copy(triton_model.__file__, place / "model.py")
        # A text has no axis but the samples', which Triton can only have as an axis like others.
        batch = 0 if name == "text" else MOST
        lines = [f'name: "{name}"', 'backend: "python"', f"max_batch_size: {batch}"]
        lines += [_tensor("input", spec, batch, "") for spec in version.inputs]
        labels = ""
        if version.labels:
            (folder / name / "labels.txt").write_text("\n".join(version.labels) + "\n")
            labels = ', label_filename: "labels.txt"'
        lines += [_tensor("output", tensor, batch, labels) for tensor in version.outputs]
        (folder / name / "config.pbtxt").write_text("\n".join(lines) + "\n")


def _tensor(kind, spec, batch, more):
    datatype = DATATYPES[spec.dtype]
    dims = [-1 if size is None else size for size in spec.shape][1 if batch else 0 :]
    name = "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"
    return f'{kind} {{ name: "{spec.name}", data_type: {name}, dims: {dims}{more} }}'


class Triton:
    """The server as a process; `port` is where it listens for HTTP."""

    def __init__(self, home, repository, log):
        self.port, self.log = _free_port(), log
        libraries = [CACHE / "nvidia_pytriton.libs", sysconfig.get_config_var("LIBDIR")]
        command = [
            home / "bin" / "tritonserver",
            f"--model-repository={repository}",
            f"--backend-directory={home / 'backends'}",
            f"--http-port={self.port}",
            "--http-address=127.0.0.1",
            "--allow-grpc=false",
            "--allow-metrics=false",
        ]
        environment = {
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
            "PYTHONHOME": sys.base_prefix,
            "PATH": os.defpath,  # no Python of a virtual environment, whose packages would be found
        }
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                env={**os.environ, **environment},
                cwd=CACHE,  # the backend looks for numpy there first, and not in PYTHONPATH
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, seconds=120):
        """Until it is ready; whether it is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/v2/health/ready")
                if connection.getresponse().status == 200:
                    return True
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.2)
        return False

    def close(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        with contextlib.suppress(ProcessLookupError):  # it leaves processes of models behind
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
