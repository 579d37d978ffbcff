"""The models and the `Recipe` call of a generated file, as text for each framework."""

from collections.abc import Sequence

from toolkit.starter import code
from toolkit.starter.choices import Size
from toolkit.starter.wish import Wish

_TASKS = {True: ("cross_entropy", "accuracy"), False: ("mse", "mae")}


def dense(
    width: str,
    classes: bool,
    hidden: int,
    frameworks: Sequence[str],
    *,
    shape: str,
    flatten: bool = False,
) -> list[str]:
    """Two hidden layers.

    Args:
        width: Python for the number of inputs.
        classes: logits of LABELS, or one value in the target's unit.
        hidden: units of a hidden layer.
        frameworks: out of 'tf' and 'torch'.
        shape: Python for the shape of a sample.
        flatten: samples have several axes.
    """
    keras = code.template(
        "dense_keras",
        gives=_gives(classes),
        shape=shape,
        flatten="\n            layers.Flatten()," if flatten else "",
        hidden=hidden,
        last="layers.Dense(len(LABELS))," if classes else _KERAS_VALUE,
    )
    torch = code.template(
        "dense_torch",
        gives=_gives(classes),
        imports="" if classes else "    import torch\n",
        helper=_in_units(classes),
        width=width,
        flatten="\n        nn.Flatten()," if flatten else "",
        hidden=hidden,
        last=_torch_last(hidden, classes),
    )
    return _chosen(keras, torch, frameworks)


def convolutions(
    shape: tuple[int, int, int], classes: bool, hidden: int, frameworks: Sequence[str]
) -> list[str]:
    """Convolutions that halve the image until it is small, then two dense layers."""
    widths = _widths(min(shape[:2]))
    keras_blocks = [
        f'layers.Conv2D({width}, 3, padding="same", activation="relu"),\n'
        "            layers.MaxPooling2D(2),"
        for width in widths
    ]
    pairs = zip((16, *widths), widths, strict=False)
    torch_blocks = [
        f"nn.Conv2d({before}, {width}, 3, padding=1),\n        nn.ReLU(),\n        nn.MaxPool2d(2),"
        for before, width in pairs
    ]
    left = " * ".join(str(side >> len(widths)) for side in shape[:2])
    keras = code.template(
        "images_keras",
        gives=_gives(classes),
        blocks="\n            ".join(keras_blocks),
        hidden=hidden,
        last="layers.Dense(len(LABELS))," if classes else _KERAS_VALUE,
    )
    torch = code.template(
        "images_torch",
        helper=_in_units(classes),
        channels=shape[2],
        blocks="\n        ".join(torch_blocks),
        flat=f"{widths[-1]} * {left}",
        hidden=hidden,
        last=_torch_last(hidden, classes),
    )
    return _chosen(keras, torch, frameworks)


def embedding(frameworks: Sequence[str]) -> list[str]:
    """An embedding of words, a convolution over five of them, and the greatest answer of each."""
    return _chosen(code.template("text_keras"), code.template("text_torch"), frameworks)


def recipe(wish: Wish, size: Size, *, classes: bool, preprocessing: str, input_name: str) -> str:
    """The `recipe = Recipe(...)` at the end."""
    loss, metric = _TASKS[classes]
    builders = {"tf": "    keras=keras_model,\n", "torch": "    torch=torch_model,\n"}
    return code.template(
        "recipe",
        name=wish.name,
        builders="".join(builders[framework] for framework in wish.frameworks).strip("\n"),
        loss=loss,
        metric=metric,
        epochs=size.epochs,
        batch=size.batch,
        preprocessing=preprocessing,
        labels="    labels=LABELS,\n" if classes else "    tolerance=0.05 * TARGET_STD,\n",
        input=input_name,
        output="logits" if classes else "value",
    )


_KERAS_VALUE = "layers.Dense(1),\n            layers.Rescaling(TARGET_STD, TARGET_MEAN),"


def _torch_last(width: int, classes: bool) -> str:
    if classes:
        return f"nn.Linear({width}, len(LABELS)),"
    return f"nn.Linear({width}, 1),\n        InUnits(),"


def _in_units(classes: bool) -> str:
    return "" if classes else "\n" + code.template("in_units") + "\n"


def _chosen(keras: str, torch: str, frameworks: Sequence[str]) -> list[str]:
    return [{"tf": keras, "torch": torch}[framework] for framework in frameworks]


def _gives(classes: bool) -> str:
    return "a logit a class" if classes else "a value in the target's unit"


def _widths(side: int) -> tuple[int, ...]:
    """Channels before each halving, while at least four pixels a side are left."""
    widths = [32]
    while len(widths) < 4 and side // 2 ** (len(widths) + 1) >= 4:
        widths.append(64)
    return tuple(widths)
