"""From the options that several commands share to a bundle, a model and quiet."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.bundle import Bundle
    from edge.model import Model
    from edge.trust import TrustStore

KEYS_VARIABLE = "EDGE_KEYS"
KEYS_FILE = "~/.config/edge/keys.json"


def open_model(options: SimpleNamespace) -> Model:
    """The model that the options name, from its own file or from a bundle.

    What is in memory then is never looked through for garbage again, neither between two answers
    nor at the end of the process.

    Raises as `edge.runtime.load`, `load_preferred` and `open_bundle` do.
    """
    model = _open(options)
    gc.freeze()
    gc.enable()
    return model


def _open(options: SimpleNamespace) -> Model:
    from edge.errors import InputError
    from edge.runtime import is_bundle, load, load_preferred

    path, threads = options.path, options.threads
    with quiet(options.debug):
        if is_bundle(path):
            return load_preferred(
                open_bundle(path, options),
                path,
                threads=threads,
                name=options.model or "",
                precision=options.precision or "",
            )
        if options.model or options.precision:
            raise InputError(f"{path}: one model; --model and --precision choose in a bundle")
        return load(path, threads=threads)


def open_bundle(path: str, options: SimpleNamespace) -> Bundle:
    """A bundle whose signature and bytes hold; raises BundleError, TrustError.

    options: keys, allow_unsigned.
    """
    from edge.bundle import Bundle

    return Bundle.open(path, trusted_keys(options.keys), allow_unsigned=options.allow_unsigned)


def trusted_keys(given: str | None) -> TrustStore | None:
    """The keys of the file given, else of $EDGE_KEYS, else of ~/.config/edge/keys.json if it is.

    Raises TrustError if the file cannot be read.
    """
    from edge.trust import TrustStore

    path = given or os.environ.get(KEYS_VARIABLE)
    usual = os.path.expanduser(KEYS_FILE)  # noqa: PTH111
    if not path and os.path.exists(usual):  # noqa: PTH110
        path = usual
    return TrustStore.read(path) if path else None


@contextmanager
def quiet(debug: bool = False) -> Iterator[None]:
    """Drop what a runtime writes to stderr from C++, past sys.stderr: LiteRT greets with a line."""
    if debug or sys.stderr is None:  # closed by whoever started the process: nothing to drop
        yield
        return
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
