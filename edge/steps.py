"""Pre- and postprocessing as data: a short list of steps that travels with the model.

A step is a JSON object with the key `step` and the fields in FIELDS; docs/steps.md describes each.
A batch is [n, ...]; what a step says of axes is about one sample. Numbers become float32 (integers
only where a step says so), the same on every device. The steps themselves are in steps_basic.py,
steps_image.py, steps_text.py, steps_signal.py and steps_output.py, loaded when first needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Callable

import numpy as np

from edge import steps_basic
from edge.errors import InputError
from edge.steps_fields import MAX_STEPS, Family, Run, Step, shown

__all__ = ["FIELDS", "Step", "apply", "check", "compile", "raw_shape", "takes_text"]

FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cast": (("dtype",), ()),
    "scale": (("factor",), ("offset",)),
    "standardize": (("mean", "std"), ()),
    "reshape": (("shape",), ()),
    "transpose": (("axes",), ()),
    "one_hot": (("depth",), ()),
    "log": (("floor",), ("offset", "base")),
    "resize": (("size",), ("method",)),
    "crop": (("size",), ("at",)),
    "pad": (("size",), ("value", "side")),
    "grayscale": ((), ()),
    "channels": (("order",), ()),
    "tokenise": (
        ("vocabulary", "length", "unknown", "padding"),
        ("split", "lower", "truncate"),
    ),
    "window": (("length", "hop"), ("function", "centre")),
    "fft": (("size",), ("power",)),
    "mel": (("rate", "bands"), ("low", "high", "scale", "norm")),
    "softmax": ((), ()),
    "sigmoid": ((), ()),
    "argmax": ((), ()),
    "top_k": (("k",), ()),
    "threshold": (("above",), ()),
    "dequantise": (("scale", "zero_point"), ()),
}
"""Step name -> (fields that it needs, fields that may be left out)."""


def apply(steps: Sequence[Step], batch: np.ndarray) -> np.ndarray:
    """Run the steps in order on one batch [n, ...]; see `compile` for several."""
    return compile(steps)(batch)


def compile(  # noqa: A001 - what it is called for regular expressions, too
    steps: Sequence[Step], member: Callable[[str], bytes] | None = None
) -> Run:
    """Check the steps and make their tables once.

    The result runs the steps in order on a batch [n, ...] and leaves the batch itself as it was;
    it may be used by several threads. It raises InputError if a step does not fit the batch.

    member  reads a file by name, where a step names one; a bundle's members, for example

    Raises InputError if a step is wrong (see `check`), or a file that it names is.
    """
    check(steps)
    made = []
    for index, given in enumerate(steps):
        step = _with_member(index, given, member)
        made.append(
            (f"step {index} ({step['step']})", _family(step["step"])[1][step["step"]](step))
        )
    of_text = takes_text(steps)

    def run(batch: np.ndarray) -> np.ndarray:
        if made and not of_text and batch.dtype.kind not in "biuf":
            raise InputError(f"{made[0][0]}: {batch.dtype} holds no numbers; texts need tokenise")
        for name, one in made:
            batch = _fitted(name, one, batch)
        return batch

    return run


def takes_text(steps: Sequence[Step]) -> bool:
    """Whether checked steps take texts and not numbers: the first one tokenises."""
    return bool(steps) and steps[0]["step"] == "tokenise"


def _fitted(name: str, one: Run, batch: np.ndarray) -> np.ndarray:
    try:
        return one(batch)
    except ValueError as error:
        shape = list(batch.shape[1:])
        raise InputError(f"{name}: does not fit samples of shape {shape}: {error}") from error


def check(steps: Sequence[Step]) -> None:
    """Raise InputError that names the first wrong step, by index, and its field.

    Sizes are limited, so that steps from elsewhere cannot fill the memory.
    """
    if not isinstance(steps, (list, tuple)):
        raise InputError(f"expected a list of steps, got {shown(steps)}")
    if len(steps) > MAX_STEPS:
        raise InputError(f"{len(steps)} steps, over the limit of {MAX_STEPS}")
    for index, step in enumerate(steps):
        name = step.get("step") if isinstance(step, Mapping) else None
        if not isinstance(name, str):
            raise InputError(
                f"step {index}: expected an object with the key 'step', got {shown(step)}"
            )
        if name not in FIELDS:
            raise InputError(f"step {index}: unknown step {shown(name)}{_nearest(name, FIELDS)}")
        problem = _problem(step)
        if not problem and name == "tokenise" and index:
            problem = "must be the first step: what comes before makes numbers"
        if problem:
            raise InputError(f"step {index} ({name}): {problem}")


def raw_shape(steps: Sequence[Step], shape: Sequence[int | None]) -> tuple[int | None, ...]:
    """The shape of one sample before the steps, given the model's `shape` of one sample.

    None where a size is free. What comes before a reshape is taken as flat, unless a `standardize`
    there says how many columns it expects, or another step how many axes; images as three axes.

    Raises InputError if a step makes another number of axes than what comes after it takes.
    """
    names = [step["step"] for step in steps]
    if "reshape" not in names:
        return _undone(steps, tuple(shape))
    position = names.index("reshape")
    before = steps[:position]
    for step in before:
        if step["step"] not in _SHAPE_STAYS:
            return _alone(step)
    sizes = list(shape)
    if not _SHAPE_STAYS.issuperset({*names[position:]} - {"reshape", "transpose"}):
        sizes = [None if size == -1 else size for size in steps[position]["shape"]]
        if None in sizes:
            return (None,)
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return tuple(shape)
    total = math.prod(known)
    for step in before:
        for field in ("mean", "std"):
            columns = np.size(step.get(field, 0.0))
            if 1 < columns < total:
                return (total // columns, columns)
    return (total,)


_SHAPE_STAYS = {
    "cast", "scale", "standardize", "log", "softmax", "sigmoid", "threshold", "dequantise",
}  # fmt: skip

_LAST_AXES: Mapping[str, tuple[int, tuple[int | None, ...]]] = {
    "grayscale": (1, (3,)),
    "channels": (1, (None,)),
    "window": (2, (None,)),
    "fft": (1, (None,)),
    "mel": (1, (None,)),
    "one_hot": (1, ()),
    "argmax": (0, (None,)),
    "top_k": (2, (None,)),
}
"""Step -> how many of the last axes it makes, and the sizes that it makes them of."""


def _undone(steps: Sequence[Step], shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    for step in reversed(steps):
        name = step["step"]
        if name == "transpose":
            axes = step["axes"]
            _need(step, len(axes) == len(shape), shape)
            shape = tuple(shape[axes.index(axis)] for axis in range(len(axes)))
        elif name in ("resize", "crop", "pad"):
            count = len(step["size"])
            _need(step, count <= len(shape), shape)
            shape = (None,) * count + shape[count:]
        elif name == "tokenise":
            shape = ()
        elif name in _LAST_AXES:
            count, sizes = _LAST_AXES[name]
            _need(step, count <= len(shape), shape)
            shape = shape[: len(shape) - count] + sizes
    return shape


def _need(step: Step, good: bool, shape: tuple[int | None, ...]) -> None:
    if not good:
        axes = f"{len(step['axes'])} axes" if "axes" in step else "not the axes"
        raise InputError(f"{step['step']}: {axes} for samples of shape {list(shape)}")


def _alone(step: Step) -> tuple[int | None, ...]:
    """What the first step that changes the shape takes, where a reshape hides what it makes."""
    name = step["step"]
    if name == "transpose":
        return (None,) * len(step["axes"])
    if name in ("resize", "channels") or (name in ("crop", "pad") and len(step["size"]) > 1):
        return (None,) * 3
    if name == "tokenise":
        return ()
    return (None, None, 3) if name == "grayscale" else (None,)


def _nearest(name: str, known: Any) -> str:
    import difflib  # rarely needed, and not free to load

    close = difflib.get_close_matches(name[:40], list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def _problem(step: Step) -> str:
    """What is wrong with a step of a known name; empty if nothing is."""
    needed, optional = FIELDS[step["step"]]
    for field in needed:
        if field not in step:
            return f"{field} is missing"
    for field in step:
        if field not in ("step", *needed, *optional):
            return f"unknown field {shown(field)}{_nearest(str(field), (*needed, *optional))}"
    return _family(step["step"])[0][step["step"]](step)


def _family(name: str) -> Family:
    """The module that has the step; loaded here, so that a device pays for what it uses."""
    if name in steps_basic.FAMILY[0]:
        return steps_basic.FAMILY
    if name in ("resize", "crop", "pad", "grayscale", "channels"):
        from edge import steps_image

        return steps_image.FAMILY
    if name == "tokenise":
        from edge import steps_text

        return steps_text.FAMILY
    if name in ("window", "fft", "mel"):
        from edge import steps_signal

        return steps_signal.FAMILY
    from edge import steps_output

    return steps_output.FAMILY


def _with_member(index: int, step: Step, member: Callable[[str], bytes] | None) -> Step:
    """The step with the vocabulary that it names by a member."""
    if not isinstance(step.get("vocabulary"), Mapping):
        return step
    from edge.steps_text import read_vocabulary

    name = step["vocabulary"]["member"]
    where = f"step {index} ({step['step']}): vocabulary {name}"
    if member is None:
        raise InputError(f"{where}: is a file of a bundle; there is no bundle here")
    try:
        read = {**step, "vocabulary": read_vocabulary(member(name))}
    except (KeyError, ValueError) as error:
        raise InputError(f"{where}: cannot be read: {error}") from error
    problem = _problem(read)
    if problem:
        raise InputError(f"{where}: {problem}")
    return read
