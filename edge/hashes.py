"""SHA-2 without OpenSSL where little is to be hashed.

`import hashlib` loads OpenSSL's libcrypto: 4 MB of memory and 3 ms, which a small model would pay
for one hash. Python has the same functions built in, as hashlib's own fallback; they take 4 ms a
megabyte, and OpenSSL, with the processor's instructions, under 1.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable

OPENSSL_FROM = 2 << 20
"""From so many bytes on, OpenSSL's speed is worth its memory."""


def sha256(data: Any = b"", *, expected: int = 0) -> Any:
    """A hash object as hashlib's; `expected` is how many bytes will be hashed in all."""
    if expected >= OPENSSL_FROM:
        import hashlib

        return hashlib.sha256(data)
    return _function("sha256")(data)


def sha512(data: bytes) -> Any:
    """A hash object as hashlib's."""
    return _function("sha512")(data)


def _function(name: str) -> Callable[[Any], Any]:
    for module in (
        "_sha2",
        f"_{name}",
        "hashlib",
    ):  # Python 3.12 and later; earlier; if built without
        try:
            function: Callable[[Any], Any] = getattr(import_module(module), name)
        except ImportError:
            continue
        return function
    raise AssertionError("hashlib is always there")
