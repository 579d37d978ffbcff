"""The two forms of TensorFlow Serving's requests: a sample at a time, or an input at a time."""

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any, NoReturn

from toolkit.serve.arrays import by_name
from toolkit.serve.errors import RequestError
from toolkit.serve.values import is_base64
from toolkit.serve.version import Spec, Version


def need_batches(specs: Iterable[Spec], version: Version) -> None:
    """Raise a RequestError where an input or output does not count samples."""
    for spec in specs:
        if not spec.shape:
            refuse_rows(f"input {spec.name}", "a value without a batch axis")
    for tensor in version.outputs:
        if not tensor.shape:
            refuse_rows(f"output {tensor.name}", "a value without a batch axis")


def refuse_rows(what: str, got: str) -> NoReturn:
    """Raise a RequestError for what cannot be given a sample at a time."""
    raise RequestError(
        f"{what}: expected a first axis that counts samples for 'instances', got {got}; "
        "send 'inputs' instead"
    )


def from_rows(rows: Any, specs: tuple[Spec, ...]) -> Mapping[str, Any]:
    """Values by input name of a list of samples: bare where there is one input, or objects."""
    if type(rows) is not list:
        raise RequestError("instances: expected a list of samples, got something else; send a list")
    first = rows[0] if rows else None
    if len(specs) == 1 and not (type(first) is dict and _is_named(first, specs[0])):
        return {specs[0].name: rows}
    return columns(rows, specs, "instances")


def columns(rows: list[Any], specs: tuple[Spec, ...], where: str) -> dict[str, list[Any]]:
    """Values by input name of a list of objects, which all have a value for each input.

    Raises:
        RequestError: says which object is wrong and how.
    """
    if set(map(type, rows)) - {dict}:
        index = next(index for index, row in enumerate(rows) if type(row) is not dict)
        names = ", ".join(spec.name for spec in specs)
        raise RequestError(
            f"{where}[{index}]: expected an object with a value for input {names}, got something "
            "else; send objects"
        )
    if set(map(len, rows)) - {len(specs)}:
        index = next(index for index, row in enumerate(rows) if len(row) != len(specs))
        by_name(specs, rows[index], f"{where}[{index}]")
    try:
        return {spec.name: list(map(itemgetter(spec.name), rows)) for spec in specs}
    except KeyError:
        for index, row in enumerate(rows):
            by_name(specs, row, f"{where}[{index}]")
        raise


def from_inputs(value: Any, specs: tuple[Spec, ...]) -> Mapping[str, Any]:
    """Values by input name of 'inputs': bare where there is one input, or an object."""
    if len(specs) == 1 and not (type(value) is dict and _is_named(value, specs[0])):
        return {specs[0].name: value}
    if type(value) is not dict:
        names = ", ".join(spec.name for spec in specs)
        raise RequestError(f"inputs: expected an object with a value for input {names}; send one")
    by_name(specs, value, "inputs")
    return value


def _is_named(value: dict[str, Any], spec: Spec) -> bool:
    """Whether an object is of values by name, and not one binary value."""
    return spec.name in value or not (spec.dtype == "str" and is_base64(value))
