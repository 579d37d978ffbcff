import io
import struct
import sys
import wave

import numpy as np
import pytest

from edge.errors import InputError
from edge.read_input import read, read_content, read_texts


@pytest.fixture
def picture(tmp_path):
    image = pytest.importorskip("PIL.Image")

    def make(pixels, name="a.png", mode=None, **options):
        path = tmp_path / name
        made = image.fromarray(pixels)
        (made.convert(mode) if mode else made).save(path, **options)
        return str(path)

    return make


COLOURS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def test_pixels(picture):
    np.testing.assert_array_equal(read(picture(COLOURS), None), COLOURS, strict=True)
    grey = COLOURS[:, :, 0]
    np.testing.assert_array_equal(read(picture(grey), None), grey[:, :, None], strict=True)
    wide = grey.astype(np.uint16) * 1000
    np.testing.assert_array_equal(read(picture(wide), None), wide[:, :, None], strict=True)
    assert read(picture(COLOURS, mode="RGBA"), None).shape == (2, 4, 3)
    assert read(picture(COLOURS, mode="P"), None).shape == (2, 4, 3)


def test_a_picture_is_turned_as_it_says(picture):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    assert read(picture(COLOURS, exif=exif), None).shape == (4, 2, 3)


def test_what_is_no_picture(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(InputError, match=r"a\.png: not an image that Pillow reads"):
        read(str(tmp_path / "a.png"), None)
    with pytest.raises(InputError, match="No such file"):
        read(str(tmp_path / "b.png"), None)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(InputError, match=r"images need Pillow.*\npip install pillow"):
        read(str(tmp_path / "a.png"), None)


def sound(width, frames, channels=1):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((channels, width, 8000, 0, "NONE", ""))
        file.writeframes(frames)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("width", "frames"),
    [
        (1, bytes([0, 128, 192])),
        (2, struct.pack("<3h", -(2**15), 0, 2**14)),
        (3, b"\0\0\x80" + b"\0\0\0" + b"\0\0\x40"),
        (4, struct.pack("<3i", -(2**31), 0, 2**30)),
    ],
)
def test_sound_is_a_share_of_the_greatest(width, frames):
    samples = read_content(sound(width, frames), ".wav")
    assert (samples.dtype, samples.tolist()) == (np.float32, [-1, 0, 0.5])


def test_channels_are_columns(tmp_path):
    (tmp_path / "a.wav").write_bytes(sound(2, struct.pack("<4h", 0, 2**14, 0, -(2**14)), 2))
    assert read(str(tmp_path / "a.wav"), None).tolist() == [[0, 0.5], [0, -0.5]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a PCM .wav"),
        (b"RIFF\4\0\0\0WAVE", "not a PCM .wav"),
        (sound(2, b"\1\0" * 9)[:-4], "cut off"),
        (sound(2, b"\1\0" * 9).replace(b"\1\0\1\0\x40\x1f", b"\3\0\1\0\x40\x1f"), "unknown format"),
    ],
)
def test_damaged_sound(content, words):
    with pytest.raises(InputError, match=words):
        read_content(content, ".wav")


def test_texts(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo words\n")
    assert read_texts("hello, you", None).tolist() == ["hello, you"]
    assert read_texts(str(tmp_path / "a.txt"), None).tolist() == ["one\ntwo words\n"]
    assert read_texts("-", io.StringIO("a\nb\n")).tolist() == ["a", "b"]
    assert read_texts('["a", "b"]', None).tolist() == ["a", "b"]
    assert read_texts("see notes.txt", None).tolist() == ["see notes.txt"]
    for wrong in ("[1]", "[]", "[", '["a", 1]', "missing.txt"):
        with pytest.raises(InputError):
            read_texts(wrong, None)
