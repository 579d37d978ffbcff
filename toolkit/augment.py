"""Augmentations of images that a recipe's `augment` may name; a function of one's own will do, too.

Each takes images [n, height, width] or [n, height, width, channels] as the model would get them,
and a `SampleRandom` of n samples. It may change the images in place.
"""

from dataclasses import dataclass

import numpy as np

from toolkit.errors import RecipeError
from toolkit.sample_random import SampleRandom
from toolkit.specs import Array, is_int, is_number


@dataclass(frozen=True)
class Flip:
    """Mirror images, left for right.

    Attributes:
        share: of the images that are mirrored, 0 to 1.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        _require("Flip.share", self.share, is_number(self.share, 0, 1), "a number from 0 to 1")

    def __call__(self, images: Array, random: SampleRandom) -> Array:
        """The images, some mirrored."""
        _size(images)
        chosen = random.uniform() < self.share
        images[chosen] = images[chosen, :, ::-1]
        return images


@dataclass(frozen=True)
class Shift:
    """Move images by whole pixels, in both directions evenly: zero padding and a random crop.

    Attributes:
        pixels: the farthest in each direction, at least 1.
        fill: value of the pixels that come in.
    """

    pixels: int = 2
    fill: float = 0.0

    def __post_init__(self) -> None:
        _require("Shift.pixels", self.pixels, is_int(self.pixels, 1), "a whole number >= 1")
        _require("Shift.fill", self.fill, is_number(self.fill), "a finite number")

    def __call__(self, images: Array, random: SampleRandom) -> Array:
        """New images, moved."""
        height, width = _size(images)
        if self.pixels >= min(height, width):
            raise ValueError(f"images of {height} x {width} are too small for {self}")
        moved = np.full_like(images, self.fill)
        moves = random.integers(-self.pixels, self.pixels + 1, 2).tolist()
        for to, image, (down, right) in zip(moved, images, moves, strict=True):
            target = to[max(down, 0) : height + down, max(right, 0) : width + right]
            target[...] = image[max(-down, 0) : height - down, max(-right, 0) : width - right]
        return moved


@dataclass(frozen=True)
class Cutout:
    """Blank a square of each image (DeVries and Taylor, 2017); at the border a part of it.

    Attributes:
        size: pixels of its side, at least 1.
        fill: value that it gets.
    """

    size: int = 8
    fill: float = 0.0

    def __post_init__(self) -> None:
        _require("Cutout.size", self.size, is_int(self.size, 1), "a whole number >= 1")
        _require("Cutout.fill", self.fill, is_number(self.fill), "a finite number")

    def __call__(self, images: Array, random: SampleRandom) -> Array:
        """The images, each with its square."""
        height, width = _size(images)
        tops = random.integers(0, height) - self.size // 2
        lefts = random.integers(0, width) - self.size // 2
        for image, top, left in zip(images, tops.tolist(), lefts.tolist(), strict=True):
            image[max(top, 0) : top + self.size, max(left, 0) : left + self.size] = self.fill
        return images


def _size(images: Array) -> tuple[int, int]:
    if images.ndim not in (3, 4):
        raise ValueError(
            f"needs images [n, height, width] or [n, height, width, channels], not {images.shape}"
        )
    return images.shape[1], images.shape[2]


def _require(name: str, value: object, good: bool, wanted: str) -> None:
    if not good:
        raise RecipeError(f"{name} must be {wanted}, not {value!r:.80}")
