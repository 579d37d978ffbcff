"""The manifest of a .tflite file: written behind the flatbuffer, read from there, found again.

It is the member `manifest.json` of a zip archive behind the flatbuffer, the place that TFLite
metadata calls associated files: runtimes ignore it, `unzip -p FILE` shows it.
"""

from __future__ import annotations

import binascii
import io
import re
import struct

from edge.errors import ModelError
from edge.manifest import LIMIT, MEMBER, Manifest

_MEMBER_BEGINS = re.compile(rb"PK\x03\x04.{26}" + re.escape(MEMBER.encode()), re.DOTALL)

_ARCHIVE_ENDS = b"PK\5\6"
_END = struct.Struct("<4s4H2LH")
_LONGEST_END = _END.size + (1 << 16)  # with a comment
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL_BYTES = 30


def append_to_tflite(model: bytes, manifest: Manifest) -> bytes:
    """The model with the manifest behind it; the same arguments give the same bytes.

    A manifest that is there already is replaced; other files in the archive are kept.
    Law: `read_from_tflite(append_to_tflite(model, m)) == m`.

    Raises ModelError if `model` is not a TFLite file.
    """
    if not is_tflite(model):
        raise ModelError("not a TFLite model: the bytes 4 to 8 are not TFL3")
    import zipfile

    flatbuffer, members = _split(model)
    members[MEMBER] = manifest.to_json().encode()
    buffer = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(buffer, "a") as archive:  # stored: zlib's output differs by version
        for name, content in members.items():
            # ZipInfo takes 1980-01-01 for the time; a system of its own would differ on Windows.
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def read_from_tflite(data: bytes) -> Manifest | None:
    """The manifest of a TFLite file, or None if it carries none.

    Raises ModelError if there is one that is damaged, cut off, too large or wrong.
    """
    if data.rfind(_ARCHIVE_ENDS, max(0, len(data) - _LONGEST_END)) < 0:
        if _MEMBER_BEGINS.search(data):
            raise ModelError("manifest: the end of the file is missing; copy the file again")
        return None
    text = _as_written(data)
    if text is None:
        text = _from_archive(data)
    return None if text is None else Manifest.from_json(text)


def _from_archive(data: bytes) -> bytes | None:
    """The manifest in an archive of any form; None if there is none."""
    import zipfile

    buffer = io.BytesIO(data)
    if not zipfile.is_zipfile(buffer):
        if _MEMBER_BEGINS.search(data):
            raise ModelError("manifest: the end of the file is missing; copy the file again")
        return None
    try:
        with zipfile.ZipFile(buffer) as archive:
            if MEMBER not in archive.namelist():
                return None
            entry = archive.getinfo(MEMBER)
            if entry.file_size > LIMIT:
                raise ModelError(f"manifest: {entry.file_size} bytes, over the limit of {LIMIT}")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ModelError(  # LZMA allocates as much as the file says
                    f"manifest: compressed by method {entry.compress_type}; 0 and 8 are read\n"
                    "export the model again"
                )
            return archive.read(MEMBER)
    except ModelError:
        raise
    except Exception as error:  # zipfile raises many kinds for damaged files
        raise ModelError(f"manifest: damaged ({error}); copy the file again") from error


def _as_written(data: bytes) -> bytes | None:
    """The manifest where the archive is as `append_to_tflite` writes it; None for any other form.

    zipfile, which reads every form, costs a cold start 7 ms.
    """
    end = len(data) - _END.size
    if end < 0:
        return None
    magic, _, _, here, total, size, begin, _ = _END.unpack(data[end:])
    name = MEMBER.encode()
    if magic != _ARCHIVE_ENDS or (here, total) != (1, 1) or begin + size != end:
        return None
    if size != _ENTRY.size + len(name) or data[begin + _ENTRY.size : end] != name:
        return None
    entry = _ENTRY.unpack(data[begin : begin + _ENTRY.size])
    method, checksum, packed, length, offset = entry[4], entry[7], entry[8], entry[9], entry[16]
    start = offset + _LOCAL_BYTES + len(name)
    if entry[0] != b"PK\1\2" or method or packed != length or start + length != begin:
        return None
    text = bytes(data[start:begin])
    is_local = data[offset : offset + 4] == b"PK\3\4" and data[start - len(name) : start] == name
    good = length <= LIMIT and is_local and binascii.crc32(text) == checksum
    return text if good else None


def is_tflite(data: bytes) -> bool:
    """Whether the bytes begin as a TFLite flatbuffer does."""
    return data[4:8] == b"TFL3"


def _split(model: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The flatbuffer, and the members of the archive behind it by name."""
    import zipfile

    buffer = io.BytesIO(model)
    if not zipfile.is_zipfile(buffer):
        return model, {}
    try:
        with zipfile.ZipFile(buffer) as archive:
            starts = [info.header_offset for info in archive.infolist()]
            end = min(starts, default=archive.start_dir)
            return model[:end], {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # noqa: BLE001 - weights that look like the end of an archive; of many kinds
        return model, {}
