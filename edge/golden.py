"""Golden vectors: named arrays in an .npz file, read without pickle, copies or surprises.

Only arrays that are stored uncompressed are read, as views of the file's bytes: whatever the file
claims, nothing is allocated for it. Texts are numpy's `<U`, four bytes a character, as long as the
longest: a view again, and without a code point that Python has no character for.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from typing import NoReturn

import numpy as np

from edge.bundle_format import BundleError

MAX_ARRAYS = 256
_KINDS = "biufU"  # of dtypes: bool, integers, floats, texts
_LAST_CODE_POINT = 0x10FFFF
_LOCAL_HEADER = 30


def read_arrays(data: memoryview) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name: read-only views of `data`.

    Raises BundleError if the file is damaged, an array is compressed, an object, or not as long
    as it says.
    """
    try:
        with zipfile.ZipFile(_File(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ARRAYS:
                _wrong(f"{len(entries)} arrays, over the limit of {MAX_ARRAYS}")
            names = [entry.filename for entry in entries]
            if len(set(names)) < len(names):
                _wrong("two arrays have the same name")
            return {_name(entry): _array(entry, data) for entry in entries}
    except BundleError:
        raise
    except Exception as error:  # zipfile and numpy raise many kinds for damaged files
        raise BundleError(f"golden vectors: damaged ({error})\nmake the bundle again") from error


def write_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Law: `read_arrays(write_arrays(a))` equals `a`; the same arrays give the same bytes.

    Raises BundleError for arrays that `read_arrays` would not read.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            if array.dtype.kind not in _KINDS:
                _wrong(f"{name} has dtype {array.dtype}, not a number, bool or text")
            content = io.BytesIO()
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            np.lib.format.write_array(
                content, little.reshape(arrays[name].shape), version=(1, 0), allow_pickle=False
            )
            info = zipfile.ZipInfo(name + ".npy")  # its time is 1980-01-01
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, content.getvalue())
    return buffer.getvalue()


class _File(io.RawIOBase):
    """Bytes in memory as a file to read; BytesIO would copy them."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._position = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = (0, self._position, len(self._data))[whence]
        if begin + offset < 0:
            raise OSError("before the beginning")
        self._position = begin + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._data[self._position : self._position + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)


def _name(entry: zipfile.ZipInfo) -> str:
    if not entry.filename.endswith(".npy"):
        _wrong(f"{entry.filename!r:.120} is not an .npy file")
    return entry.filename[: -len(".npy")]


def _array(entry: zipfile.ZipInfo, data: memoryview) -> np.ndarray:
    """The array of one entry, as a view of its bytes."""
    content = _content(entry, data)
    file = io.BytesIO(content[: 1 << 14])  # numpy's own limit of a header is 10,000 bytes
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        _wrong(f"{entry.filename} has version {version} of .npy; only 1.0 is read")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in _KINDS or dtype.shape or not dtype.itemsize:
        _wrong(f"{entry.filename} has dtype {dtype}, not a number, bool or text")
    count = math.prod(shape)
    held = content[file.tell() :]
    if min(shape, default=0) < 0 or fortran or count * dtype.itemsize != len(held):
        _wrong(f"{entry.filename} states {list(shape)} of {dtype} and holds {len(held)} bytes")
    if dtype.kind == "U" and count:
        points = np.frombuffer(held, np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if points.max() > _LAST_CODE_POINT:
            _wrong(f"{entry.filename} holds what is no text")
    return np.frombuffer(held, dtype, count).reshape(shape)


def _content(entry: zipfile.ZipInfo, data: memoryview) -> memoryview:
    size = entry.file_size
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != size:
        _wrong(f"{entry.filename!r:.120} is compressed; golden vectors must be stored")
    if entry.flag_bits & 1:
        _wrong(f"{entry.filename!r:.120} is encrypted")
    head = data[entry.header_offset : entry.header_offset + _LOCAL_HEADER]
    if len(head) < _LOCAL_HEADER or bytes(head[:4]) != b"PK\x03\x04":
        _wrong(f"{entry.filename!r:.120} is not where the file's index says")
    lengths = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    begin = entry.header_offset + _LOCAL_HEADER + lengths
    content = data[begin : begin + size]
    if len(content) < size:
        _wrong(f"{entry.filename!r:.120} is cut off")
    return content


def _wrong(problem: str) -> NoReturn:
    raise BundleError(f"golden vectors: {problem}\nmake the bundle again")
