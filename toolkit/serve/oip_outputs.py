"""Which outputs a request of the Open Inference Protocol asks for, and classes of an output."""

import reprlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from toolkit.serve.arrays import unknown
from toolkit.serve.errors import RequestError
from toolkit.serve.oip_parameters import flag, parameters_of
from toolkit.serve.version import Array, Version


@dataclass(frozen=True, slots=True)
class Asked:
    """One output as it is wanted.

    Attributes:
        name: of the output.
        binary: whether as bytes after the JSON.
        classes: how many of the greatest values, as texts 'VALUE:INDEX[:LABEL]'; 0 for the output
            itself.
    """

    name: str
    binary: bool = False
    classes: int = 0


def read(asked: Any, version: Version, binary: bool) -> tuple[Asked, ...]:
    """The outputs of a request in its order; all of the model where it names none.

    Args:
        asked: the request's 'outputs', as JSON gave them.
        version: the model.
        binary: whether outputs that do not say are wanted as bytes.

    Raises:
        RequestError: an output is unknown, named twice or wrongly described.
    """
    names = tuple([tensor.name for tensor in version.outputs])
    if asked is None or asked == []:
        return _all(names, binary)
    if type(asked) is not list:
        raise RequestError("outputs: expected a list of objects with a name, got something else")
    found: dict[str, Asked] = {}
    for index, item in enumerate(asked):
        where = f"outputs[{index}]"
        name = item.get("name") if type(item) is dict else None
        if type(name) is not str:
            raise RequestError(
                f"{where}: expected an object with the name of an output, one of {', '.join(names)}"
            )
        if name not in names:
            unknown(name, names, where, "output")
        if name in found:
            raise RequestError(f"{where}: output {name} is asked for twice; ask once")
        parameters = parameters_of(item, where)
        is_binary = flag(parameters, "binary_data", where, binary)
        found[name] = Asked(name, is_binary, _classes(parameters, where))
    return tuple(found.values())


@lru_cache(maxsize=256)
def _all(names: tuple[str, ...], binary: bool) -> tuple[Asked, ...]:
    return tuple(Asked(name, binary) for name in names)


def classified(output: Array, asked: Asked, version: Version) -> Array:
    """The greatest values of each sample, texts [n, k]: 'VALUE:INDEX', and ':LABEL' if it has one.

    Raises:
        RequestError: the output has no axis of classes.
    """
    if output.ndim < 2:
        raise RequestError(
            f"output {asked.name}: expected [n, classes] for a classification, got "
            f"{list(output.shape)}; ask for the output itself"
        )
    rows = output.reshape(len(output), -1)
    k = min(asked.classes, rows.shape[1])
    labels = version.labels if asked.name == version.outputs[0].name else None
    order = np.argsort(-rows.astype(np.float64), axis=1, kind="stable")[:, :k]
    made = np.empty(order.shape, np.object_)
    for row, places in enumerate(order.tolist()):
        for column, place in enumerate(places):
            made[row, column] = _text(rows[row, place], place, labels)
    return made


def _text(value: Any, place: int, labels: tuple[str, ...] | None) -> str:
    number = f"{value:f}" if value.dtype.kind == "f" else str(int(value))
    return f"{number}:{place}:{labels[place]}" if labels else f"{number}:{place}"


def _classes(parameters: dict[str, Any], where: str) -> int:
    count = parameters.get("classification", 0)
    if type(count) is not int or count < 0:
        got = reprlib.repr(count)
        raise RequestError(
            f"{where}: parameter classification: expected how many classes, got {got}"
        )
    return count
