"""Shoes and bags from two images of each class, on the backbone of another run."""

from dataclasses import replace

from fashion_backbone import only

from toolkit import Data
from toolkit.recipes import fashion

NEW = ("Sandal", "Sneaker", "Bag", "Ankle boot")


def data() -> Data:
    """8 images to learn from, 4,000 to judge by."""
    every = fashion.data()
    return Data(train=only(every.train, NEW, each=2), validation=only(every.validation, NEW))


recipe = replace(
    fashion.recipe,
    name="fashion-few",
    data=data,
    keras=lambda: fashion.keras_model(len(NEW)),
    torch=lambda: fashion.torch_model(len(NEW)),
    start_from="backbone",  # a run's directory: each framework takes its own model
    frozen=("stem*", "first*", "second*"),
    epochs=40,
    validate_every=10,
    global_batch=8,
    labels=NEW,
    probe=None,
)
