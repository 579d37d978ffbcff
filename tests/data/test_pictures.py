"""What is taken for an image, and PNG files that another reader reads."""

import io

import numpy as np
import pytest

from toolkit.data.pictures import images_of, png

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((2, 8, 8), (2, 8, 8, 1)),
        ((2, 8, 9, 3), (2, 8, 9, 3)),
        ((2, 3, 8, 9), (2, 8, 9, 3)),
        ((2, 200, 100, 4), (2, 50, 25, 4)),
        ((2, 8), None),
        ((2, 8, 8, 5), None),
        ((2, 3, 2, 1), None),
        ((0, 8, 8, 1), None),
    ],
)
def test_shapes(shape, wanted):
    found = images_of(RNG.random(shape))
    assert (None if found is None else found.shape) == wanted


def test_values_span_all_brightnesses_and_bytes_stay():
    floats = images_of(np.linspace(0, 16, 32).reshape(2, 4, 4))
    assert (floats.min(), floats.max(), floats.dtype) == (0, 255, np.uint8)
    raw = RNG.integers(0, 100, (2, 4, 4, 1), np.uint8)
    np.testing.assert_array_equal(images_of(raw), raw)
    assert images_of(np.full((1, 4, 4), np.nan)).max() == 0
    assert images_of(np.array(["text"], object)) is None


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_reads_back(channels):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install pillow")
    pixels = RNG.integers(0, 256, (5, 7, channels), np.uint8)
    read = np.asarray(image.open(io.BytesIO(png(pixels))))
    np.testing.assert_array_equal(read.reshape(pixels.shape), pixels)
