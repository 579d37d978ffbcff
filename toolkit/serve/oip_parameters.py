"""`parameters` of a request, of a tensor and of an output; unknown ones are for others."""

import reprlib
from typing import Any

from toolkit.serve.errors import RequestError


def parameters_of(owner: dict[str, Any], where: str) -> dict[str, Any]:
    """The `parameters` of an object, empty if it has none.

    Raises:
        RequestError: they are no object.
    """
    found = owner.get("parameters")
    if found is None:
        return {}
    if type(found) is not dict:
        raise RequestError(f"{where}: parameters: expected an object, got something else")
    return found


def flag(parameters: dict[str, Any], name: str, where: str, default: bool = False) -> bool:
    """A parameter that is true or false.

    Raises:
        RequestError: it is neither.
    """
    found = parameters.get(name, default)
    if type(found) is not bool:
        raise RequestError(
            f"{where}: parameter {name}: expected true or false, got {reprlib.repr(found)}"
        )
    return found
