"""Open a bundle: check who made it and that every byte is as it was made, then hand out members.

The order is: lengths in the header, signature, manifest, layout, padding, hashes. Until all of it
holds, no member is parsed or given to anyone. Checking takes the same memory whatever the file's
size: hashes are taken in chunks, and members are views of the file mapped into memory.

What the manifest may say is in bundle_manifest.py, who is trusted in trust.py, running a model is
left to runtime.py.
"""

from __future__ import annotations

import mmap
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from edge.bundle_entries import Member, ModelEntry
from edge.bundle_format import HEADER_BYTES, MAX_FILE, BundleError, TrustError, read_header
from edge.bundle_manifest import BundleManifest, check_layout
from edge.hashes import sha256
from edge.trust import TrustStore

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Bundle", "BundleError", "TrustError", "TrustStore"]

_CHUNK = 256 << 10


class Bundle:
    """An opened bundle, all of whose bytes were checked.

    manifest   what its members are.
    signed_by  ids of the trusted keys whose signatures hold; empty if nobody's was asked for.

    The file stays mapped as long as a member is in use. Replace a bundle by renaming another file
    over it, never by writing into it: that would change what was already checked.
    """

    def __init__(
        self, data: memoryview, manifest: BundleManifest, signed_by: tuple[str, ...]
    ) -> None:
        self._data = data
        self._members = {member.name: member for member in manifest.members}
        self.manifest = manifest
        self.signed_by = signed_by

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        keys: TrustStore | None = None,
        *,
        allow_unsigned: bool = False,
    ) -> Bundle:
        """Check all of a file.

        keys: whose signatures count. Needed unless `allow_unsigned`.
        allow_unsigned: also take a bundle without any signature, and without `keys` one with
        whatever signatures. The hashes are checked still: damage is found, a forgery is not.

        Raises BundleError, and its subclass TrustError for signatures; the message begins with the
        path.
        """
        try:
            with open(path, "rb", opener=_open) as file:
                return cls._read(file, keys, allow_unsigned)
        except OSError as error:
            raise BundleError(f"{path}: {error.strerror or error}\ncheck the path") from error
        except BundleError as error:
            raise type(error)(f"{path}: {error}") from error

    @classmethod
    def _read(cls, file: BinaryIO, keys: TrustStore | None, allow_unsigned: bool) -> Bundle:
        size = _file_size(file)
        header = read_header(file.read(HEADER_BYTES))
        text, signatures = file.read(header.manifest), file.read(header.signatures)
        if len(text) + len(signatures) < header.manifest + header.signatures:
            raise BundleError(f"cut off after {size} bytes\ncopy the bundle again")
        signed_by = _signed_by(text, signatures, keys, allow_unsigned)
        manifest = BundleManifest.from_bytes(text)
        if manifest.value["format"] != header.format:  # only the manifest's is signed
            raise BundleError(
                f"damaged: the header states format {header.format}, the manifest "
                f"{manifest.value['format']}\ncopy the bundle again"
            )
        check_layout(manifest.members, file.tell(), size)
        for member in manifest.members:
            _check_zero(file.read(member.offset - file.tell()), member)
            _check_hash(file, member, size)
        data = memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
        return cls(data, manifest, signed_by)

    @property
    def models(self) -> tuple[ModelEntry, ...]:
        """The models, in the order in which the maker prefers them."""
        return self.manifest.models

    def member(self, name: str) -> memoryview:
        """The bytes of a member, read-only and not copied; raises BundleError if it has none."""
        if name not in self._members:
            raise BundleError(f"no member {name!r:.120}\nthere is: {', '.join(self._members)}")
        member = self._members[name]
        return self._data[member.offset : member.offset + member.size]

    def golden(self) -> dict[str, np.ndarray] | None:
        """The golden vectors by name, read-only, or None if there are none.

        Raises BundleError if the member is not what golden.py reads.
        """
        if self.manifest.golden is None:
            return None
        from edge.golden import read_arrays

        return read_arrays(self.member(self.manifest.golden.member))


def _open(path: str, flags: int) -> int:
    # A named pipe without a writer would block; anything but a file is refused after opening.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _file_size(file: BinaryIO) -> int:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise BundleError("not a regular file\ngive a .edge file")
    if status.st_size > MAX_FILE:
        raise BundleError(
            f"{status.st_size} bytes, over the limit of {MAX_FILE}\nmake a smaller bundle"
        )
    return status.st_size


def _signed_by(
    manifest: bytes, signatures: bytes, keys: TrustStore | None, allow_unsigned: bool
) -> tuple[str, ...]:
    if allow_unsigned and (keys is None or not signatures):
        return ()
    if keys is None:
        raise TrustError("no trusted keys were given\nname the file of trusted keys")
    if not signatures:
        raise TrustError("not signed\nget a signed bundle, or allow unsigned ones if you made it")
    return keys.check(signatures, manifest)


def _check_zero(padding: bytes, member: Member) -> None:
    if any(padding):
        raise BundleError(
            f"damaged: the padding before member {member.name} is not zero\ncopy the bundle again"
        )


def _check_hash(file: BinaryIO, member: Member, size: int) -> None:
    """Compare the hash of a member of a file of `size` bytes."""
    digest, left = sha256(expected=size), member.size
    while left:
        chunk = file.read(min(_CHUNK, left))
        if not chunk:
            raise BundleError(f"cut off inside member {member.name}\ncopy the bundle again")
        digest.update(chunk)
        left -= len(chunk)
    if digest.hexdigest() != member.sha256:
        raise BundleError(f"damaged: member {member.name} has another hash\ncopy the bundle again")
