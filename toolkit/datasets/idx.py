"""Arrays in the idx format of MNIST and its likes, gzipped: how Fashion-MNIST's files are kept."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolkit.errors import DataError

_BYTES = b"\0\0\x08"  # of what type the values are; the number of dimensions follows


def read(path: Path) -> npt.NDArray[np.uint8]:
    """The array of bytes in a .gz file, of any number of dimensions, read-only.

    Raises:
        DataError: there is no such file, or it holds something else.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; fetch the data set again with --force") from error
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    first = 4 + 4 * content[3] if content[:3] == _BYTES and len(content) > 3 else 0
    if not 0 < first <= len(content):
        raise _damaged(path, "it is no idx file of bytes")
    shape = tuple(np.frombuffer(content[4:first], ">u4").tolist())
    if len(content) != first + math.prod(shape):
        raise _damaged(path, f"{len(content)} bytes do not hold an array of shape {shape}")
    return np.frombuffer(content, np.uint8, offset=first).reshape(shape)


def _damaged(path: Path, problem: str) -> DataError:
    return DataError(f"{path} cannot be read: {problem}; fetch the data set again with --force")
