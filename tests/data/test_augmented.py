"""Augmentation: from samples' own random numbers, on training samples alone."""

from dataclasses import replace

import numpy as np
import pytest

from toolkit import Cutout, Data, Flip, Recipe, SampleRandom, Shift, Split
from toolkit.data.augmented import Augmenter
from toolkit.data.load import load
from toolkit.errors import RecipeError

IMAGES = np.arange(1, 1 + 40 * 6 * 5, dtype=np.float32).reshape(40, 6, 5, 1)
CLASSES = np.arange(40) % 2


@pytest.fixture
def recipe():
    data = Data(Split(IMAGES, CLASSES), Split(IMAGES[:20] + 1, CLASSES[:20]))
    return Recipe("job", lambda: data, torch=object, loss="cross_entropy", augment=(Flip(),))


def random(count=40, epoch=0, first=0, seed=0, stream=(0, 0)):
    return SampleRandom.of(seed, [epoch], np.arange(first, first + count)[None], stream)


def test_a_sample_draws_the_same_in_any_batch_and_others_elsewhere():
    whole = random().uniform(3)
    assert whole.shape == (40, 3)
    np.testing.assert_array_equal(random(10, first=30).uniform(3), whole[30:])
    for other in (random(epoch=1), random(seed=1), random(stream=(0, 1)), random(stream=(1, 0))):
        assert not np.isin(other.uniform(3), whole).any()
    one = random()
    np.testing.assert_array_equal(np.stack([one.uniform() for _ in range(3)], 1), whole)


def test_draws_are_spread_as_they_should_be():
    many = random(20_000)
    numbers, whole, bell = many.uniform(2), many.integers(-2, 3), many.normal()
    assert numbers.min() >= 0
    assert numbers.max() < 1
    np.testing.assert_allclose(np.histogram(numbers, 10, (0, 1))[0], 4000, atol=250)
    assert np.abs(np.corrcoef(numbers.T)[0, 1]) < 0.03
    assert np.abs(np.corrcoef(numbers[1:, 0], numbers[:-1, 0])[0, 1]) < 0.03
    np.testing.assert_allclose(np.bincount(whole + 2), [4000] * 5, atol=250)
    np.testing.assert_allclose([bell.mean(), bell.std()], [0, 1], atol=0.03)
    assert bell.dtype == numbers.dtype == np.float32


def test_flip_mirrors_its_share():
    images = np.array(IMAGES)
    flipped = Flip(0.25)(images, random())
    same = (flipped == IMAGES).all((1, 2, 3))
    mirrored = (flipped == IMAGES[:, :, ::-1]).all((1, 2, 3))
    assert (same ^ mirrored).all()
    assert 3 < mirrored.sum() < 18
    assert not (Flip(0)(np.array(IMAGES), random()) != IMAGES).any()
    assert (Flip(1)(np.array(IMAGES), random()) == IMAGES[:, :, ::-1]).all()


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_shift_moves_within_its_bounds_and_fills(channels):
    images = np.ones((200, 6, 5, *channels), np.float32) * np.arange(1, 6).reshape(
        5, *[1] * len(channels)
    )
    moved = Shift(2, fill=-1)(images, random(200))
    assert moved.shape == images.shape
    kinds = {tuple(row.ravel().tolist()) for row in moved[:, 3]}
    first = [-1, -1, 1, 2, 3, 4, 5, -1, -1]
    rows = [np.repeat(first[at : at + 5], max(1, sum(channels))) for at in range(5)]
    assert kinds == {tuple(row.tolist()) for row in rows}
    filled = (moved.reshape(200, 6, -1) == -1).all(2)  # whole rows that came in
    assert set(filled.sum(1).tolist()) == {0, 1, 2}


def test_cutout_blanks_one_square():
    blanked = Cutout(3, fill=-1)(np.array(IMAGES), random()) == -1
    count = blanked.sum((1, 2, 3))
    assert count.max() == 9
    assert count.min() >= 2
    assert (blanked.any(2).sum(1) * blanked.any(1).sum(1) == count[:, None]).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Flip(1.5), r"Flip\.share must be a number from 0 to 1, not 1\.5"),
        (lambda: Shift(0), r"Shift\.pixels must be a whole number >= 1"),
        (lambda: Shift(2, np.nan), r"Shift\.fill must be a finite number"),
        (lambda: Cutout(2.5), r"Cutout\.size must be"),
        (lambda: Cutout(2, None), r"Cutout\.fill must be"),
    ],
)
def test_wrong_values_are_named(make, message):
    with pytest.raises(RecipeError, match=message):
        make()


def test_only_training_samples_change_and_only_on_their_way_to_the_model(recipe):
    plain, changed = load(replace(recipe, augment=())), load(recipe)
    assert plain.sha256 == changed.sha256
    np.testing.assert_array_equal(changed.raw["input"], IMAGES[:20] + 1)
    for before, after in ((plain.train, changed.train), (plain.validation, changed.validation)):
        every = slice(None)
        np.testing.assert_array_equal(
            before.take(every).inputs["input"], after.take(every).inputs["input"]
        )


def one(array, random):
    return array + random.uniform(*array.shape[1:])


def two(array, random):
    return array * 2


def test_functions_come_in_order_with_numbers_of_their_own(recipe):
    ids = np.array([[3, 1], [0, 2]])
    inputs = {"input": IMAGES[ids]}
    made = Augmenter(replace(recipe, augment=(one, two)), ["input"]).apply(inputs, ids, [4, 5])
    noise = SampleRandom.of(0, [4, 5], ids, (0, 0)).uniform(6, 5, 1).reshape(inputs["input"].shape)
    np.testing.assert_array_equal(made["input"], 2 * (IMAGES[ids] + noise))
    swapped = replace(recipe, augment={"mask": (two,), "input": (one,)})
    both = {"input": IMAGES[ids], "mask": IMAGES[ids]}
    made = Augmenter(swapped, ["input", "mask"]).apply(both, ids, [4, 5])
    np.testing.assert_array_equal(made["mask"], 2 * IMAGES[ids])
    np.testing.assert_array_equal(made["input"], IMAGES[ids] + noise)


def dice(array, random):
    return array + np.random.default_rng().random(array.shape, np.float32)


def centre(array, random):
    return array - array.mean(0)


def short(array, random):
    return array[:-1]


def widen(array, random):
    return array.astype(np.float64)


def spoil(array, random):
    return array * np.float32("nan")


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ((dice,), "other values in another batch.*second argument alone"),
        ((centre,), "other values in another batch"),
        ((short,), r"short must return what it is given, float32 \(8, 6, 5, 1\).*float32 \(7, 6"),
        ((widen,), r"widen must return.*not float64"),
        ((lambda array, random: None,), "must return.*not NoneType"),
        ((spoil,), "makes NaN or infinity"),
        ((lambda array: array,), "failed: TypeError"),
        ((Flip(), Shift(5)), r"Shift failed: ValueError: images of 6 x 5 are too small"),
        ({"image": (Flip(),)}, r"is for \['image'\], but there is \['input'\]"),
    ],
)
def test_what_cannot_be_trained_with_is_refused_before_anything_starts(recipe, augment, message):
    with pytest.raises(RecipeError, match=f"recipe 'job', field 'augment'.*{message}"):
        load(replace(recipe, augment=augment))


def test_what_is_no_image_is_named(recipe):
    flat = Data(Split(IMAGES.reshape(40, -1), CLASSES), Split(IMAGES.reshape(40, -1), CLASSES))
    with pytest.raises(RecipeError, match=r"Flip failed: .*needs images.*not \(8, 30\)"):
        load(replace(recipe, data=lambda: flat))
