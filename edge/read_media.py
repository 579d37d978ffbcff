"""Images and sound files as arrays. Images need Pillow, sound the standard library only."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from edge.errors import InputError

MAX_SAMPLES = 1 << 28
"""Samples of a sound file, all channels together: a header may promise any number."""


def image(file: BinaryIO, where: str) -> np.ndarray:
    """The pixels [height, width, channels]: one channel for grey, else red, green, blue.

    uint8; 16-bit grey stays uint16. The image is turned as its EXIF orientation says; transparency
    is dropped.

    Raises InputError, which begins with `where`, if Pillow is missing or cannot read the file.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise InputError(
            f"input {where}: images need Pillow: {error}\npip install pillow, or give a .npy file"
        ) from error
    try:
        with Image.open(file) as opened:
            turned = ImageOps.exif_transpose(opened)
            grey = turned.mode in ("1", "L", "LA", "I;16", "I")
            if turned.mode not in ("I;16", "I"):
                turned = turned.convert("L" if grey else "RGB")
            pixels = np.asarray(turned)
    except Exception as error:  # Pillow's plugins raise many kinds for damaged files
        raise InputError(f"input {where}: not an image that Pillow reads: {error}") from error
    return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels


def sound(file: BinaryIO, where: str) -> np.ndarray:
    """The samples of a PCM .wav file, float32 from -1 to 1: [samples], or [samples, channels].

    Raises InputError, which begins with `where`, if the file is cut off or not PCM of 8, 16, 24 or
    32 bits.
    """
    import wave

    try:
        with wave.open(file, "rb") as opened:
            width, channels = opened.getsampwidth(), opened.getnchannels()
            count = opened.getnframes()
            if count * channels > MAX_SAMPLES:
                raise InputError(f"input {where}: {count} samples, over the limit of {MAX_SAMPLES}")
            data = opened.readframes(count)
    except (wave.Error, EOFError, ValueError) as error:
        raise InputError(f"input {where}: not a PCM .wav file: {error}") from error
    if len(data) < count * channels * width:
        raise InputError(f"input {where}: cut off; copy the file again")
    samples = _to_float(data, width)
    if samples is None:
        raise InputError(f"input {where}: {8 * width} bits a sample; 8, 16, 24 and 32 are read")
    return samples if channels == 1 else samples.reshape(-1, channels)


def _to_float(data: bytes, width: int) -> np.ndarray | None:
    """Little-endian integers as a share of the greatest; 8 bits are unsigned around 128."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)
    if width in (2, 4):
        whole = np.frombuffer(data, f"<i{width}")
        return whole.astype(np.float32) / np.float32(2 ** (8 * width - 1))
    if width == 3:  # as the upper bytes of 32 bits
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return wide.view("<i4").ravel().astype(np.float32) / np.float32(2**31)
    return None
