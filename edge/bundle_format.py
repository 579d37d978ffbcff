"""The layout of a bundle, in numbers and words: what writes bundles and what reads them agree here.

One file: header, manifest, signatures, members; docs/bundle-format.md has it byte for byte. Reading
is in bundle.py, the meaning of the manifest in bundle_manifest.py, writing is left to the toolkit.
"""

from __future__ import annotations

import json
import re
import struct
from typing import Any, NamedTuple

from edge.depth import MOST, is_deeper
from edge.errors import EdgeError

MAGIC = b"EDGEBNDL"
FORMAT = 2
"""The newest format that this code reads; all from 1 on are read.

A bundle is written in the least format that can say what is in it, so that old devices read what
they can: 2 adds members of kind `vocabulary` and texts in golden vectors.
"""

HEADER_BYTES = 32
PAGE = 4096
"""Members begin at multiples of this, so that they can be mapped into memory where they are."""

MAX_MANIFEST = 1 << 20
MAX_SIGNATURE_BYTES = 64 << 10
MAX_SIGNATURES = 16
MAX_MEMBERS = 256
MAX_FILE = 4 << 30

_HEADER = struct.Struct("<8sIII12x")


class BundleError(EdgeError):
    """The bundle is damaged, cut off, wrong, or no bundle at all."""


class TrustError(BundleError):
    """The bundle, or a key, is not by anyone whom this device trusts."""


class Header(NamedTuple):
    """The lengths that the header states, in bytes, and the format."""

    manifest: int
    signatures: int
    format: int = 1

    @property
    def first_member(self) -> int:
        """Where the first member begins."""
        return align(HEADER_BYTES + self.manifest + self.signatures)


def align(offset: int) -> int:
    """The first multiple of a page from `offset` on."""
    return -(-offset // PAGE) * PAGE


def write_header(header: Header) -> bytes:
    """Law: `read_header(write_header(h)) == h`."""
    return _HEADER.pack(MAGIC, header.format, header.manifest, header.signatures)


def read_header(data: bytes) -> Header:
    """Check the first 32 bytes of a file; raises BundleError."""
    if data[:8] != MAGIC[: len(data)]:
        raise BundleError("not a bundle: it does not begin with EDGEBNDL\ngive a .edge file")
    if len(data) < HEADER_BYTES:
        raise BundleError(f"cut off after {len(data)} bytes\ncopy the bundle again")
    _, number, manifest, signatures = _HEADER.unpack(data)
    if not 1 <= number <= FORMAT:
        raise BundleError(
            f"format {number}; this edge reads formats 1 to {FORMAT}\n"
            "update edge on this device, or make the bundle with an older toolkit"
        )
    if not 0 < manifest <= MAX_MANIFEST:
        raise BundleError(
            f"the header states a manifest of {manifest} bytes; allowed are 1 to {MAX_MANIFEST}\n"
            "copy the bundle again"
        )
    if signatures > MAX_SIGNATURE_BYTES:
        raise BundleError(
            f"the header states {signatures} bytes of signatures, over the limit of "
            f"{MAX_SIGNATURE_BYTES}\ncopy the bundle again"
        )
    if any(data[20:HEADER_BYTES]):
        raise BundleError("damaged: the header's bytes 20 to 32 are not zero\ncopy it again")
    return Header(manifest, signatures, number)


def canonical(value: Any) -> bytes:
    """JSON in its one form here: UTF-8, keys sorted, no spaces.

    Raises ValueError for NaN, infinity and text that UTF-8 cannot hold.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def read_canonical(
    data: bytes, where: str, error: type[BundleError] = BundleError
) -> dict[str, Any]:
    """Read a JSON object that must be in the form of `canonical`.

    The comparison also refuses a key that is there twice, which JSON readers take differently.
    """
    try:
        value = json.loads(data.decode())
        if is_deeper(value, MOST + 3):  # the manifest of a model lies three deep in a bundle's
            raise error(f"{where}: nested more than {MOST + 3} times\nmake the bundle again")
        same = canonical(value) == data
    except (ValueError, RecursionError) as cause:
        raise error(f"{where}: not JSON ({cause})\ncopy the bundle again") from cause
    if not isinstance(value, dict):
        raise error(f"{where}: expected a JSON object\nmake the bundle again")
    if not same:
        raise error(
            f"{where}: not in canonical form: keys sorted and once, no spaces\nmake it again"
        )
    return value


def is_hex(value: object, count: int) -> bool:
    """Whether `value` is text of `count` bytes in lower-case hexadecimal digits."""
    return (
        isinstance(value, str)
        and re.fullmatch("[0-9a-f]*", value) is not None
        and (len(value) == 2 * count)
    )
