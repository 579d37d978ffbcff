"""Six of Fashion-MNIST's ten classes, clothes alone: what a backbone is trained on."""

from dataclasses import replace

import numpy as np

from toolkit import Data, Split
from toolkit.recipes import fashion

KNOWN = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Shirt")


def only(split: Split, names: tuple[str, ...], each: int | None = None) -> Split:
    """The images of some classes, the first `each` of every one; their numbers follow `names`."""
    numbers = [fashion.LABELS.index(name) for name in names]
    ids = [np.flatnonzero(split.targets == number)[:each] for number in numbers]
    targets = np.repeat(np.arange(len(ids)), [len(group) for group in ids])
    return Split(split.inputs[np.concatenate(ids)], targets)


def data() -> Data:
    """All images of these classes."""
    every = fashion.data()
    return Data(train=only(every.train, KNOWN), validation=only(every.validation, KNOWN))


recipe = replace(
    fashion.recipe,
    name="fashion-backbone",
    data=data,
    keras=lambda: fashion.keras_model(len(KNOWN)),
    torch=lambda: fashion.torch_model(len(KNOWN)),
    epochs=4,
    labels=KNOWN,
    probe=None,
)
