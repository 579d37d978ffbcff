"""Images in folders of their class."""

import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolkit.errors import UsageError
from toolkit.starter import choices, code, models
from toolkit.starter.draft import Draft
from toolkit.starter.wish import IMAGE_SUFFIXES, Wish

_GREY = ("1", "L", "LA", "I;16", "I")
_SIDES = (64, 32, 16, 8)  # what images of various sizes are resized to
_MEMORY = 500_000_000  # bytes of all pixels, above which images are read as a stream


def survey(wish: Wish) -> Draft:
    """A recipe that tells the folder of an image from its pixels.

    Raises:
        UsageError: there are no such images, or Pillow cannot read one.
    """
    if wish.task == "regression":
        raise UsageError("images in folders can only be classified; leave out --task regression")
    files = sorted(file for file in wish.data.glob("*/*") if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise UsageError(
            f"{wish.data} holds no images in folders of their class, such as "
            f"{wish.data / 'cat' / '1.png'}; known are {', '.join(IMAGE_SUFFIXES)}"
        )
    choices.check_count(str(wish.data), len(files), "images")
    counts = Counter(file.parent.name for file in files)
    notes = list(choices.check_classes(str(wish.data), counts, "images"))
    labels = tuple(sorted(counts))
    shape, resized = _shape(files)
    if resized:
        notes.append(f"images are resized to {shape[1]} x {shape[0]} pixels; see SHAPE")
    targets = np.array([labels.index(file.parent.name) for file in files])
    held_out = choices.hold_out(targets)
    streamed = len(files) * shape[0] * shape[1] * shape[2] > _MEMORY
    return Draft(
        text=_recipe(wish, files, labels, shape, int(held_out.sum()), streamed),
        kind="images",
        task="classification",
        facts={
            "images": len(files),
            "classes": {label: counts[label] for label in labels},
            "shape": list(shape),
            "streamed": streamed,
        },
        notes=tuple(notes),
    )


def _shape(files: Sequence[Path]) -> tuple[tuple[int, int, int], bool]:
    """Height, width and channels to train with, and whether images must be resized for it.

    Raises:
        UsageError: Pillow is missing, or cannot read a file.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError(
            "images need Pillow: pip install 'edge-deployment-toolkit[recipes]'"
        ) from error
    sizes, modes = set[tuple[int, int]](), set[str]()
    for file in files:
        try:
            with Image.open(file) as image:
                image.verify()
                sizes.add((image.height, image.width))
                modes.add(image.mode)
        except Exception as error:  # Pillow's plugins raise many kinds for damaged files
            raise UsageError(
                f"{file} is no image that Pillow reads: {error}; repair it or take it out"
            ) from error
    channels = 1 if modes <= set(_GREY) else 3
    if len(sizes) == 1 and min(only := next(iter(sizes))) >= _SIDES[-1] and max(only) <= _SIDES[0]:
        return (*only, channels), False
    typical = statistics.median(min(size) for size in sizes)
    side = next((side for side in _SIDES if side <= typical), _SIDES[-1])
    return (side, side, channels), True


def _recipe(
    wish: Wish,
    files: Sequence[Path],
    labels: tuple[str, ...],
    shape: tuple[int, int, int],
    judged: int,
    streamed: bool,
) -> str:
    grey = shape[2] == 1
    data = code.template(
        "images",
        title=code.title(
            wish.name, f"tell the folders of {wish.data.name} apart by the images in them"
        ),
        count=code.counted(len(files), "image"),
        path=wish.path_in_code,
        labels=code.assign("LABELS", labels),
        suffixes=code.literal(tuple(sorted({file.suffix.lower() for file in files}))),
        shape=code.literal(shape),
        kind="Stream" if streamed else "Split",
        data=code.template(
            "images_stream" if streamed else "images_split",
            learnt=code.counted(len(files) - judged, "image"),
            judged=judged,
        ),
        mode="L" if grey else "RGB",
        axis="[..., None]" if grey else "",
    )
    size = choices.size_of(len(files) - judged)
    recipe = models.recipe(
        wish, size, classes=True, preprocessing=code.template("scale_pixels"), input_name="image"
    )
    built = models.convolutions(shape, True, 2 * size.hidden, wish.frameworks)
    return code.join(data, code.template("hold_out"), *built, recipe)
