"""A package's wheel from the Python package index that pip is set to on this machine.

pip itself fetches it, so that mirrors, proxies, certificates and passwords hold as they do for
every other package. The wheel is checked against a hash that is pinned here, so that it matters
neither which index answers nor how. Nothing is installed.
"""

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from toolkit.datasets.catalog import PyPI
from toolkit.errors import StorageError

_MOST = 1 << 28  # bytes of a wheel
_SECONDS = 600  # of all of pip's work, with its own trials
_HINT = "check the network and the index ('pip config list', or PIP_INDEX_URL)"


def download(source: PyPI) -> bytes:
    """The wheel, checked.

    Raises:
        StorageError: pip is missing or failed, or the wheel is not what is pinned.
    """
    wanted = f"{source.package}=={source.version}"
    if importlib.util.find_spec("pip") is None:
        raise StorageError(
            f"{wanted} cannot be fetched: {sys.executable} has no pip; "
            "add it with 'python -m ensurepip' (uv: 'uv pip install pip')"
        )
    with tempfile.TemporaryDirectory() as work:
        _pip(f"{wanted} --hash=sha256:{source.sha256}", wanted, Path(work))
        file = next(Path(work).glob("*.whl"), None)
        if file is None:
            raise StorageError(f"pip left no wheel of {wanted}; {_HINT}")
        if file.stat().st_size > _MOST:
            raise StorageError(f"{file.name} is over {_MOST:,} bytes, which it is not; {_HINT}")
        content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise StorageError(
            f"{file.name} is not {wanted}: its SHA-256 is {found[:12]}..., "
            f"not {source.sha256[:12]}...; nothing was kept; {_HINT}"
        )
    return content


def _pip(requirement: str, wanted: str, folder: Path) -> None:
    """Let pip put the one wheel into `folder`; its own settings say from where."""
    listed = folder / "requirements.txt"
    listed.write_text(requirement + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--require-hashes"]
    command += ["--dest", str(folder), "--requirement", str(listed)]
    try:
        done = subprocess.run(  # noqa: S603 - this Python's pip, without a shell
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StorageError(f"pip could not fetch {wanted}: {error}; {_HINT}") from error
    if done.returncode:
        raise StorageError(
            f"pip could not fetch {wanted} as it is pinned; {_HINT}",
            detail="\n".join((done.stderr or done.stdout).strip().splitlines()[-8:]),
        )
