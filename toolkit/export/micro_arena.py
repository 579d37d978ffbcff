"""The least tensor arena that a model runs in, found by trying.

TensorFlow Lite Micro refuses a small arena, or dies of it: kernels write through a pointer that
they did not get. Each size is therefore tried in a process of its own, forked from one that has
nothing loaded but the interpreter: `python -m toolkit.export.micro_arena < MODEL`.
"""

import importlib
import os
import subprocess
import sys
from typing import Any

from toolkit.errors import ConversionError

STEP = 16
"""Bytes; the arena's alignment, below which its size says nothing."""

LIMIT = 64 << 20
"""Largest arena that is tried, in bytes: more memory than a microcontroller has."""

_SECONDS = 600


def interpreter_of(content: bytes, arena: int) -> Any:
    """TensorFlow Lite Micro's interpreter with its memory planned.

    Raises:
        ConversionError: the package is not installed.
        RuntimeError: the model cannot be prepared in an arena of this size.
    """
    return _package().runtime.Interpreter.from_bytes(content, arena_size=arena)


def micro_version() -> str:
    """The version of TensorFlow Lite Micro that answers here."""
    return str(_package().__version__)


def least_arena(content: bytes) -> int:
    """Bytes of the smallest arena, a multiple of 16, in which the model can be prepared.

    It holds pointers of 64 bits, so that one of 32 bits needs no more with the same kernels.

    Raises:
        ConversionError: the model cannot be prepared at all; `detail` has the interpreter's words.
    """
    done = subprocess.run(  # noqa: S603 - this module
        [sys.executable, "-m", __name__],
        input=content,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        raise ConversionError(
            f"TensorFlow Lite Micro {micro_version()} cannot prepare the model, even in "
            f"{LIMIT >> 20} MiB\nexport it with --precision int8 or fp32",
            detail=done.stderr.decode(errors="replace")[-2000:].strip(),
        )
    return int(done.stdout)


def _package() -> Any:
    try:
        return importlib.import_module("tflite_micro")
    except ImportError as error:
        raise ConversionError(
            f"the target micro needs TensorFlow Lite Micro's interpreter: {error}\n"
            "pip install tflite-micro"
        ) from error


def _fits(content: bytes, arena: int) -> bool:
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    try:
        interpreter_of(content, arena)
    except BaseException:  # noqa: BLE001 - a copy of the process must end here, whatever happens
        os._exit(1)
    os._exit(0)


def _main() -> int:
    """Read a model from stdin and print its least arena; 1 where none is enough."""
    content = sys.stdin.buffer.read()
    _package()  # loaded once, and not by every copy
    if not _fits(content, LIMIT):  # says on stderr why
        return 1
    too_small, enough = 0, LIMIT // STEP
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        if _fits(content, middle * STEP):
            enough = middle
        else:
            too_small = middle
    print(enough * STEP)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
