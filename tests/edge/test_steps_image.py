from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge import steps
from edge.errors import InputError

SIDES = st.integers(1, 40)


def sizes(text):
    return [int(size) for size in text.split("x")]


@pytest.mark.parametrize("library", ["tf", "torch"])
def test_resize_is_that_of_tensorflow_and_torch(data, library):
    golden = np.load(data / f"steps_{library}.npz")
    keys = [key for key in golden.files if key.startswith("resize.")]
    assert len(keys) == 14
    for key in keys:
        _, of, to, method = key.split(".")
        step = {"step": "resize", "size": sizes(to), "method": method}
        made = steps.apply([step], golden[f"image.{of}"])
        if method == "nearest":
            assert made.dtype == np.uint8
            np.testing.assert_array_equal(made, golden[key])
        else:
            assert made.dtype == np.float32
            # both compute positions in float32, here they are exact: up to 1e-6 of 255 apart
            np.testing.assert_allclose(made, golden[key], rtol=0, atol=4e-4)


@given(SIDES, SIDES, SIDES)
def test_nearest_takes_the_pixel_under_the_exact_centre(given_side, wanted, channels):
    line = np.arange(given_side, dtype=np.int16)[None, :, None]
    step = {"step": "resize", "size": [wanted, 1], "method": "nearest"}
    taken = steps.apply([step], line)[0, :, 0].tolist()
    half = Fraction(1, 2)
    assert taken == [int((place + half) * given_side / wanted) for place in range(wanted)]


@given(SIDES, SIDES, SIDES, SIDES)
def test_bilinear_keeps_a_plane_inside_and_never_leaves_the_range(h, w, height, width):
    image = (np.arange(h)[:, None] * 3.0 + np.arange(w) * 5.0)[None]
    made = steps.apply([{"step": "resize", "size": [height, width]}], image)[0]
    rows = np.clip((np.arange(height) + 0.5) * h / height - 0.5, 0, h - 1)
    columns = np.clip((np.arange(width) + 0.5) * w / width - 0.5, 0, w - 1)
    np.testing.assert_allclose(made, rows[:, None] * 3 + columns * 5, rtol=1e-5, atol=1e-4)


def test_one_compiled_resize_takes_images_of_several_sizes():
    run = steps.compile([{"step": "resize", "size": [2, 2]}])
    for side in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 3):
        assert run(np.full((1, side, side + 1, 2), side)).tolist() == [[[[side] * 2] * 2] * 2]


def test_crop_and_pad_in_the_centre_are_those_of_tensorflow(data):
    golden = np.load(data / "steps_tf.npz")
    image = golden["image.5x7"]
    cropped = steps.apply([{"step": "crop", "size": [3, 4]}], image)
    np.testing.assert_array_equal(cropped, golden["centre.3x4"])
    assert cropped.base is not None  # a view
    padded = steps.apply([{"step": "pad", "size": [9, 10], "side": "both"}], image)
    assert padded.dtype == np.uint8
    np.testing.assert_array_equal(padded, golden["centre.9x10"])


def test_crop_at_a_place_is_that_of_pillow(data):
    image = np.load(data / "steps_tf.npz")["image.32x20"]
    step = {"step": "crop", "size": [10, 5], "at": [7, 3]}
    expected = [np.asarray(Image.fromarray(one).crop((3, 7, 8, 17))) for one in image]
    np.testing.assert_array_equal(steps.apply([step], image), expected)


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from(["begin", "end"]))
def test_pad_then_crop_gives_signals_one_length(count, wanted, side):
    signal = np.arange(1.0, count + 1)[None]
    pad = {"step": "pad", "size": [wanted], "value": -1.5, "side": side}
    made = steps.apply([pad, {"step": "crop", "size": [wanted], "at": [0]}], signal)[0]
    fill = [-1.5] * (wanted - count)
    values = signal[0].tolist()
    expected = values + fill if side == "end" else fill + values
    assert made.tolist() == expected[:wanted]


def test_grayscale_is_that_of_pillow(data):
    image = np.load(data / "steps_tf.npz")["image.32x20"]
    gray = steps.apply([{"step": "grayscale"}], image)
    assert (gray.shape, gray.dtype) == ((2, 32, 20, 1), np.float32)
    expected = [np.asarray(Image.fromarray(one).convert("L")) for one in image]
    assert np.abs(gray[..., 0] - expected).max() <= 0.501  # Pillow rounds to bytes


def test_channels_are_picked_in_any_order(data):
    image = np.load(data / "steps_tf.npz")["image.5x7"]
    swapped = steps.apply([{"step": "channels", "order": [2, 1, 0]}], image)
    np.testing.assert_array_equal(swapped, image[..., ::-1])
    triple = steps.apply([{"step": "channels", "order": [0, 0, 0]}], image[..., :1])
    np.testing.assert_array_equal(triple, np.repeat(image[..., :1], 3, axis=-1))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"step": "resize", "size": [4]}, "size is [4], not a list of 2 whole numbers from 1 to"),
        ({"step": "resize", "size": [4, 0]}, "size is [4, 0]"),
        ({"step": "resize", "size": [4, 20000]}, "from 1 to 16384"),
        ({"step": "resize", "size": [16384, 16384]}, "size makes 268435456 values, over 16777216"),
        ({"step": "resize", "size": [4, 4.0]}, "size is [4, 4.0]"),
        ({"step": "resize", "size": [2, 2], "method": "cubic"}, "method 'cubic' is not one of"),
        ({"step": "resize", "size": [2, 2], "method": []}, "method [] is not one of bilinear"),
        ({"step": "crop", "size": []}, "size is [], not a list of 1 to 3"),
        ({"step": "crop", "size": [2], "at": [1, 1]}, "at is [1, 1], not a list of 1 "),
        ({"step": "crop", "size": [2], "at": [-1]}, "at is [-1]"),
        ({"step": "pad", "size": [5000, 5000]}, "size makes 25000000 values"),
        ({"step": "pad", "size": [5], "value": "0"}, "value is '0'"),
        ({"step": "pad", "size": [5], "side": "left"}, "side 'left' is not one of end, begin"),
        ({"step": "channels", "order": []}, "order is []"),
        ({"step": "channels", "order": [True]}, "order is [True]"),
        ({"step": "grayscale", "size": 1}, "unknown field 'size'"),
    ],
)
def test_a_wrong_field_is_named(step, words):
    with pytest.raises(InputError) as caught:
        steps.check([step])
    assert f"step 0 ({step['step']}): " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("step", "shape", "words"),
    [
        ({"step": "resize", "size": [2, 2]}, (1, 4), "height, width"),
        ({"step": "resize", "size": [2, 2]}, (1, 4, 0, 3), "height, width"),
        ({"step": "resize", "size": [4096, 4096]}, (1, 1, 1, 3), "50331648 values, over the limit"),
        ({"step": "crop", "size": [3, 3]}, (1, 4, 2), "there is no [3, 3] in it; pad first"),
        ({"step": "crop", "size": [3], "at": [2]}, (1, 4), "there is no [3] at [2] in it"),
        ({"step": "crop", "size": [3, 3]}, (1, 4), "there is no [3, 3] in it"),
        ({"step": "pad", "size": [3, 3]}, (1, 4), "1 axes to pad, size has 2"),
        ({"step": "pad", "size": [4000, 4000]}, (1, 4, 4, 3), "48000000 values"),
        ({"step": "grayscale"}, (1, 4, 4, 1), "three colours"),
        ({"step": "channels", "order": [3]}, (1, 4, 4, 3), "no channel 3"),
    ],
)
def test_what_does_not_fit_states_the_shape(step, shape, words):
    with pytest.raises(InputError) as caught:
        steps.apply([step], np.zeros(shape))
    assert f"does not fit samples of shape {list(shape[1:])}" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(("dtype", "value"), [("uint8", -1), ("uint8", 0.5), ("int8", 128)])
def test_integers_are_not_padded_with_what_they_cannot_hold(dtype, value):
    with pytest.raises(InputError, match=f"{value} is no {dtype}; pad after"):
        steps.apply([{"step": "pad", "size": [4], "value": value}], np.zeros((1, 2), dtype))
