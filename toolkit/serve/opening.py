"""From a file to a version that may be served: trusted, verified, tested, warm.

In this order: signature and hashes; the verification that the bundle states; the golden vectors in
a child process, which may crash or hang; the same in this process (warmup.py). It takes seconds and
blocks: call it in a thread.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from edge.bundle import Bundle
from edge.bundle_entries import ModelEntry, Tolerance
from edge.errors import BrokenRuntimeError, EdgeError, InputError
from edge.model import Model
from edge.opening import trusted_keys
from edge.runtime import choose, is_bundle, load, load_from_bundle
from edge.selftest import PASSED, SKIPPED, replay
from toolkit.errors import CheckError, NotFoundError, UsageError
from toolkit.serve.settings import Loading
from toolkit.serve.version import Array, Proof, Version
from toolkit.serve.warmup import warm_up

_SLOW_SECONDS = 2e-3  # from here on a call is worth more than one thread
_INLINE_SECONDS = 1e-3


@dataclass(frozen=True)
class _Chosen:
    """What a file offers: how to open it with so many threads, and what is known of it."""

    open: Callable[[int], Model]
    proof: Proof
    golden: dict[str, Array] | None = None
    tolerance: Tolerance | None = None
    text: str = ""


def open_version(name: str, number: int, path: Path, loading: Loading, size: int) -> Version:
    """A version, ready to answer.

    Args:
        name: of the model.
        number: of the version.
        path: a bundle, a .tflite or an .onnx file. It may be replaced by renaming another over it,
            and must not be written into.
        loading: what it takes to be served.
        size: most samples of one call.

    Raises:
        UsageError: there is no such file or model, or no runtime for it.
        CheckError: it is damaged, not trusted, not verified, or failed its self-test.
    """
    before = _stamp(path)
    with _translated(path):
        chosen = _bundled(path, loading) if is_bundle(path) else _bare(path, loading)
        version = _opened(name, number, chosen, loading.threads or 1, size)
        cpus = len(os.sched_getaffinity(0))
        if loading.threads == 0 and cpus > 1 and version.seconds >= _SLOW_SECONDS:
            version = _opened(name, number, chosen, cpus, size)
    if _stamp(path) != before:
        raise CheckError(f"{path}: was changed while it was opened; it is tried again")
    return version


def _opened(name: str, number: int, chosen: _Chosen, threads: int, size: int) -> Version:
    version = Version(
        name,
        number,
        chosen.open(threads),
        chosen.proof,
        chosen.golden,
        text=chosen.text,
        threads=threads,
    )
    try:
        warm_up(version, chosen.tolerance, size)
    except InputError as error:
        raise CheckError(f"{version.model.source}: its own golden vectors: {error}") from error
    version.inline = 0 < version.seconds < _INLINE_SECONDS
    return version


def _bare(path: Path, loading: Loading) -> _Chosen:
    if loading.precision:
        raise UsageError(f"{path}: one model; a precision is chosen in a bundle")
    reason = "a file without a bundle carries no verification"
    _check_verified(path, reason, loading)
    proof = Proof(verified=False, reason=reason, sha256=_sha256(path))
    return _Chosen(lambda threads: load(path, threads=threads), proof)


def _bundled(path: Path, loading: Loading) -> _Chosen:
    keys = trusted_keys(str(loading.keys) if loading.keys else None)
    bundle = Bundle.open(path, keys, allow_unsigned=_takes_unsigned(loading))
    manifest = bundle.manifest
    reason = "" if manifest.verified else "it was bundled without a passing verification"
    _check_verified(path, reason, loading)
    entry = _tested(bundle, path, loading)
    checks = manifest.value["verification"].get("checks")
    proof = Proof(
        verified=manifest.verified,
        reason=reason,
        checks=tuple(c for c in checks if isinstance(c, dict)) if isinstance(checks, list) else (),
        signed_by=bundle.signed_by,
        sha256=_sha256(path),
    )
    golden = bundle.golden()
    return _Chosen(
        lambda threads: load_from_bundle(bundle, entry, str(path), threads=threads),
        proof,
        # Copies: nothing that answers may lie in a file that someone writes into.
        golden and {name: np.array(array) for name, array in golden.items()},
        manifest.golden.tolerances[entry.member] if manifest.golden else None,
        manifest.version,
    )


def _takes_unsigned(loading: Loading) -> bool:
    return loading.allow_unsigned or loading.keys is None


def _check_verified(path: Path, reason: str, loading: Loading) -> None:
    if reason and not loading.allow_unverified:
        raise CheckError(
            f"{path}: {reason}; not served without --allow-unverified\n"
            "run toolkit verify, then toolkit bundle, and serve that bundle"
        )


def _tested(bundle: Bundle, path: Path, loading: Loading) -> ModelEntry:
    """The first model that fits and whose runtime is here, after its self-test in a child."""
    for entry in choose(bundle, precision=loading.precision):
        if not loading.selftest or bundle.manifest.golden is None:
            try:
                load_from_bundle(bundle, entry, str(path))
            except BrokenRuntimeError as error:
                if _is_missing(error):
                    continue
                raise
            return entry
        options = SimpleNamespace(
            path=str(path),
            keys=str(loading.keys) if loading.keys else None,
            allow_unsigned=_takes_unsigned(loading),
            threads=loading.threads or 1,
            budget_ms=None,
            memory_mb=None,
            timeout=loading.timeout,
            debug=False,
        )
        found = replay(options, entry.member)
        if found.verdict == PASSED:
            return entry
        if found.verdict != SKIPPED:
            detail = f": {found.detail}" if found.detail else ""
            raise CheckError(
                f"{path}: the self-test of {entry.member} ended with {found.verdict}{detail}\n"
                "verify the export again on a machine like this one, or give --precision"
            )
    raise UsageError(f"{path}: no runtime for its models\npip install ai-edge-litert onnxruntime")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise NotFoundError(f"{path}: {error.strerror or error}; check the path") from error
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Errors of the edge package as the toolkit's, beginning with the path."""
    try:
        yield
    except InputError as error:
        raise UsageError(_beginning(path, error)) from error
    except BrokenRuntimeError as error:
        kind = UsageError if _is_missing(error) else CheckError
        raise kind(_beginning(path, error)) from error
    except EdgeError as error:
        raise CheckError(_beginning(path, error)) from error
    except OSError as error:
        raise NotFoundError(f"{path}: {error.strerror or error}; check the path") from error


def _is_missing(error: BrokenRuntimeError) -> bool:
    """Whether a runtime is not installed, other than broken."""
    return isinstance(error.__cause__, ImportError | OSError)


def _beginning(path: Path, error: EdgeError) -> str:
    text = str(error)
    return text if text.startswith(str(path)) else f"{path}: {text}"
