"""A package's tarball from the npm registry that this machine is set up for.

The registry is npm's own: its environment variable, what `npm config get` says (which knows
~/.npmrc), and npm's default. The tarball is checked against a hash that is pinned here, so that it
matters neither which mirror answers nor how.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from http.client import HTTPException
from urllib.error import HTTPError, URLError

from toolkit.datasets.catalog import Npm
from toolkit.errors import StorageError, UsageError

_DEFAULT = "https://registry.npmjs.org/"
_VARIABLES = ("npm_config_registry", "NPM_CONFIG_REGISTRY")
_MOST = 1 << 28  # bytes of a tarball
_SECONDS = 60  # without an answer


def registry(package: str) -> str:
    """The registry's address for `package`, ending with '/'.

    Raises:
        UsageError: it is no HTTP address.
    """
    scope = package.partition("/")[0]
    given = (
        _asked(f"{scope}:registry")
        or next((os.environ[name] for name in _VARIABLES if os.environ.get(name)), "")
        or _asked("registry")
        or _DEFAULT
    )
    if urllib.parse.urlsplit(given).scheme not in ("http", "https"):
        raise UsageError(
            f"npm's registry {given!r} is no http or https address; "
            "set it with 'npm config set registry URL'"
        )
    return given.rstrip("/") + "/"


def address(source: Npm) -> str:
    """Where the tarball lies in the registry, as npm lays it out."""
    file = f"{source.package.rpartition('/')[2]}-{source.version}.tgz"
    return f"{registry(source.package)}{source.package}/-/{file}"


def download(source: Npm) -> bytes:
    """The tarball, checked.

    Raises:
        StorageError: it cannot be had, is cut off, or is not what is pinned.
    """
    url = address(source)
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - see registry
            content: bytes = answer.read(_MOST + 1)
            promised = answer.headers.get("Content-Length")
    except (OSError, HTTPException, ValueError) as error:
        raise StorageError(f"{url} cannot be fetched: {_words(error)}; {_HINT}") from error
    if len(content) > _MOST:
        raise StorageError(f"{url} is over {_MOST:,} bytes, which the package is not; {_HINT}")
    if promised and promised.isdecimal() and len(content) != int(promised):
        raise StorageError(f"{url} ended after {len(content):,} of {promised} bytes; try again")
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != source.integrity:
        raise StorageError(
            f"{url} is not {source.package} {source.version}: its hash is {found[:20]}..., "
            f"not {source.integrity[:20]}...; nothing was kept; {_HINT}"
        )
    return content


_HINT = "check the network and the registry ('npm config get registry', or npm_config_registry)"


def _asked(key: str) -> str:
    """What npm's configuration says about `key`; '' where npm is missing or says nothing."""
    program = shutil.which("npm")
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - npm itself, without a shell
            [program, "config", "get", key],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    said = done.stdout.strip()
    return said if done.returncode == 0 and said not in ("undefined", "null") else ""


def _words(error: Exception) -> str:
    if isinstance(error, URLError) and not isinstance(error, HTTPError):
        return str(error.reason)
    return str(error) or type(error).__name__
