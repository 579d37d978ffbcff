"""An .npz file of inputs and targets: vectors, images, or any other shape."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.errors import UsageError
from toolkit.recipe import Array
from toolkit.starter import choices, code, models
from toolkit.starter.draft import Draft
from toolkit.starter.wish import Wish

_INPUTS = ("inputs", "input", "x", "X", "images", "data", "features")
_TARGETS = ("targets", "target", "y", "Y", "labels", "label")
_MOST_CHANNELS = 4
_LEAST_SIDE = 8
_NEW_AXIS, _CHANNELS_LAST = "[..., None]", ".transpose(0, 2, 3, 1)"
_MOST_COLUMNS = 64  # that are standardised one by one


@dataclass(frozen=True)
class _Targets:
    """Targets as they are trained.

    Attributes:
        values: class numbers, or values, [n].
        labels: class names, or () for regression.
        python: what makes them out of the array that stands for {}.
        classes: Python for the file's own classes, where those are not 0, 1, 2, ...
    """

    values: Array
    labels: tuple[str, ...]
    python: str
    classes: str = ""

    def constants(self, learnt: Array) -> str:
        """The recipe's constants about targets."""
        if self.labels:
            own = f"CLASSES = {self.classes}  # in the file\n" if self.classes else ""
            return own + code.assign("LABELS", self.labels)
        mean, deviation = code.spread(self.values[learnt])
        return f"TARGET_MEAN, TARGET_STD = {mean!r}, {deviation!r}  # of training samples"


def survey(wish: Wish) -> Draft:
    """A recipe that predicts one array of the file from the other.

    Raises:
        UsageError: the file does not allow that; names the array.
    """
    arrays = _read(wish)
    inputs_name, target_name = _names(wish, arrays)
    inputs, given = arrays[inputs_name], arrays[target_name]
    where = f"{wish.data}, array {inputs_name!r}"
    if inputs.dtype.kind not in "fiub" or inputs.ndim == 0:
        raise UsageError(f"{where}: needs numbers, one sample a row, not {inputs.dtype}")
    if given.ndim == 0 or len(inputs) != len(given):
        raise UsageError(f"{where}: has {len(inputs)} samples, {target_name!r} has {given.shape}")
    if not np.isfinite(inputs).all():
        bad = int(np.argwhere(~np.isfinite(inputs))[0][0])
        raise UsageError(f"{where}: sample {bad} holds NaN or infinity; fill it in or leave it out")
    choices.check_count(str(wish.data), len(inputs), "samples")
    targets = _targets(wish, target_name, given)
    notes: tuple[str, ...] = ()
    if targets.labels:
        counts = Counter(targets.labels[number] for number in targets.values)
        notes = choices.check_classes(str(wish.data), counts, "samples")
    text = _recipe(wish, inputs_name, target_name, inputs, targets)
    facts = {
        "samples": len(inputs),
        "inputs": inputs_name,
        "target": target_name,
        "shape": list(inputs.shape[1:]),
        "classes": len(targets.labels) or None,
    }
    task = "classification" if targets.labels else "regression"
    return Draft(text, "npz", task, facts, notes)


def _read(wish: Wish) -> Mapping[str, Array]:
    try:
        with np.load(wish.data, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # zip, header and dtype errors, and pickles that are refused
        raise UsageError(
            f"{wish.data} is no .npz file of plain arrays: {error}; write it with "
            "numpy.savez(path, inputs=..., targets=...)"
        ) from error


def _names(wish: Wish, arrays: Mapping[str, Array]) -> tuple[str, str]:
    """Names of the inputs and the targets."""
    there = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
    target = wish.target or next((name for name in _TARGETS if name in arrays), None)
    if target is None or target not in arrays:
        named = f"no array {target!r}" if target else "no array 'targets'"
        raise UsageError(f"{wish.data} has {named}; give --target NAME. It has: {there}")
    others = [name for name in arrays if name != target]
    known = [name for name in _INPUTS if name in others]
    if len(others) == 1 or known:
        return (known or others)[0], target
    raise UsageError(
        f"{wish.data}: which array holds the inputs? Name it 'inputs'. It has: {there}"
    )


def _targets(wish: Wish, name: str, given: Array) -> _Targets:
    where = f"{wish.data}, array {name!r}"
    values = given[:, 0] if given.ndim == 2 and given.shape[1] == 1 else given
    flat = "" if values is given else "[:, 0]"
    if values.ndim == 2 and values.dtype.kind in "fiub" and _one_hot(values):
        values, flat = values.argmax(axis=1), ".argmax(axis=1)"
    if values.ndim != 1 or values.dtype.kind not in "fiubU":
        raise UsageError(
            f"{where}: needs one number or text a sample, [n], or one-hot rows, not "
            f"{given.dtype} {list(given.shape)}; write a recipe by hand: see docs/data.md"
        )
    classes = wish.task == "classification" or (wish.task is None and values.dtype.kind != "f")
    if not classes:
        if values.dtype.kind == "U" or not np.isfinite(values).all():
            raise UsageError(f"{where}: regression needs finite numbers")
        return _Targets(values.astype(np.float32), (), f"{{}}{flat}.astype(np.float32)")
    found = np.unique(values)
    if values.dtype.kind == "f" and (found != np.round(found)).any():
        raise UsageError(f"{where}: holds fractions; give --task regression")
    labels = tuple(f"{each:g}" if found.dtype.kind == "f" else str(each) for each in found)
    if values.dtype.kind in "iu" and np.array_equal(found, np.arange(len(found))):
        return _Targets(values.astype(np.int64), labels, f"{{}}{flat}.astype(np.int64)")
    python = f"np.searchsorted(CLASSES, {{}}{flat})"
    own = code.literal(tuple(found.tolist()))
    return _Targets(np.searchsorted(found, values), labels, python, own)


def _one_hot(values: Array) -> bool:
    ones = (values == 1).sum(axis=1)
    return values.shape[1] > 1 and bool((ones == 1).all() and ((values == 0) | (values == 1)).all())


def _recipe(
    wish: Wish, inputs_name: str, target_name: str, inputs: Array, targets: _Targets
) -> str:
    held_out, axis = choices.hold_out(targets.values), _axis(inputs)
    learnt, shaped = ~held_out, _with_axis(inputs, axis)
    constants, preprocessing = _standard(shaped[learnt])
    verb, taken = "tell" if targets.labels else "predict", f"file[{code.literal(target_name)}]"
    data = code.template(
        "arrays",
        title=code.title(wish.name, f"{verb} {target_name} from {inputs_name} of {wish.data.name}"),
        count=code.counted(len(inputs), "sample"),
        path=wish.path_in_code,
        shape=f"SHAPE = {code.literal(shaped.shape[1:])}",
        constants="\n".join(part for part in (targets.constants(learnt), constants) if part),
        learnt=code.counted(int(learnt.sum()), "sample"),
        judged=int(held_out.sum()),
        inputs=f"file[{code.literal(inputs_name)}]{axis}",
        targets=targets.python.format(taken),
    )
    size, classes = choices.size_of(int(learnt.sum())), bool(targets.labels)
    recipe = models.recipe(
        wish, size, classes=classes, preprocessing=preprocessing, input_name="input"
    )
    built = _models(wish, shaped.shape[1:], size, classes)
    return code.join(data, code.template("hold_out"), *built, recipe)


def _models(wish: Wish, shape: tuple[int, ...], size: choices.Size, classes: bool) -> list[str]:
    """Convolutions for images, dense layers for all else."""
    if len(shape) == 3 and min(shape[:2]) >= _LEAST_SIDE:
        image = (shape[0], shape[1], shape[2])
        return models.convolutions(image, classes, 2 * size.hidden, wish.frameworks)
    flat = len(shape) == 1
    width = "SHAPE[0]" if flat else str(math.prod(shape))
    return models.dense(
        width, classes, size.hidden, wish.frameworks, shape="SHAPE", flatten=not flat
    )


def _axis(inputs: Array) -> str:
    """Python that gives samples the axes that models take: [1], or [height, width, channels]."""
    if inputs.ndim == 1 or (inputs.ndim == 3 and min(inputs.shape[1:]) >= _LEAST_SIDE):
        return _NEW_AXIS
    if inputs.ndim == 4 and inputs.shape[3] > _MOST_CHANNELS and inputs.shape[1] <= _MOST_CHANNELS:
        return _CHANNELS_LAST
    return ""


def _with_axis(inputs: Array, axis: str) -> Array:
    if axis == _CHANNELS_LAST:
        return inputs.transpose(0, 2, 3, 1)
    return inputs[..., None] if axis else inputs


def _standard(inputs: Array) -> tuple[str, str]:
    """Constants, and the preprocessing that uses them."""
    if inputs.dtype == np.uint8:
        scale = (
            f'    preprocessing=({{"step": "scale", "factor": 1 / {max(1, int(inputs.max()))}}},),'
        )
        return "", scale
    step = '    preprocessing=({"step": "standardize", "mean": MEAN, "std": STD},),'
    if inputs.ndim == 2 and inputs.shape[1] <= _MOST_COLUMNS:
        pairs = [code.spread(column) for column in inputs.T]
        mean = code.numbers("MEAN", [mean for mean, _ in pairs], "of training samples, by column")
        return f"{mean}\n{code.numbers('STD', [std for _, std in pairs])}", step
    mean_all, std_all = code.spread(inputs)
    return f"MEAN, STD = {mean_all!r}, {std_all!r}  # of training samples", step
