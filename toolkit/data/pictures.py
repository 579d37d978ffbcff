"""Raw samples that are images, as small PNG files; needs no library."""

import struct
import zlib

import numpy as np

from toolkit.recipe import Array

_LEAST, _MOST = 4, 1024  # pixels a side, of what is taken for an image
_CHANNELS = (1, 3, 4)
_SIDE = 64  # pixels a side that are drawn, at most


def images_of(array: Array) -> Array | None:
    """Samples [n, ...] as uint8 [n, height, width, channels]; None where they are no images.

    Taken for images are [n, h, w], [n, h, w, c] and [n, c, h, w] of numbers with 1, 3 or 4
    channels. Bytes are taken as they are, other numbers from the least to the greatest of all.
    """
    if array.dtype.kind not in "uifb" or array.ndim not in (3, 4) or not len(array):
        return None
    images = array[..., None] if array.ndim == 3 else array
    if images.shape[-1] not in _CHANNELS and images.shape[1] in _CHANNELS:
        images = images.transpose(0, 2, 3, 1)
    height, width, channels = images.shape[1:]
    if channels not in _CHANNELS or not all(_LEAST <= side <= _MOST for side in (height, width)):
        return None
    step = -(-max(height, width) // _SIDE)
    images = images[:, ::step, ::step]
    if images.dtype == np.uint8:
        return np.asarray(images)
    values = np.nan_to_num(images.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = min(values.min(), 0.0), values.max()
    scaled = (values - low) / ((high - low) or 1.0) * 255
    return np.asarray(scaled.round().astype(np.uint8))


def png(image: Array) -> bytes:
    """An image, uint8 [height, width, channels] of 1, 3 or 4 channels, as a PNG file."""
    height, width, channels = image.shape
    kind = {1: 0, 3: 2, 4: 6}[channels]
    lines = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with its filter, none
    lines[:, 1:] = image.reshape(height, -1)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, kind, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
