"""How a model is called by name, and how its answer gets names, whatever structures it uses."""

from collections.abc import Mapping, Sequence
from typing import Any

from edge.tensor import Tensor
from toolkit.errors import UsageError


def named_outputs(outputs: Any, names: Sequence[str] = ()) -> dict[str, Any]:
    """Outputs by name, in the model's order.

    Args:
        outputs: a tensor, or a dictionary, named tuple, tuple or list of tensors.
        names: to give where the structure itself has none.

    Raises:
        UsageError: the structure is nested, or holds something that is no tensor.
    """
    match outputs:
        case Mapping():
            found = {str(name): value for name, value in outputs.items()}
        case tuple() if hasattr(outputs, "_fields"):
            found = dict(zip(outputs._fields, outputs, strict=True))
        case tuple() | list():
            fitting = len(names) == len(outputs)
            fallback = [f"output_{index}" for index in range(len(outputs))]
            found = dict(zip(names if fitting else fallback, outputs, strict=True))
        case _:
            found = {names[0] if len(names) == 1 else "output": outputs}
    wrong = [name for name, value in found.items() if not hasattr(value, "shape")]
    if wrong or not found:
        raise UsageError(
            f"the model's output {', '.join(wrong) or '(none)'} is not a tensor; return a tensor, "
            "or a dictionary or tuple of tensors"
        )
    return found


def in_order(inputs: Mapping[str, Any], parameters: Sequence[str]) -> list[Any]:
    """Values for positional parameters: by name where the names fit, otherwise as they stand.

    Raises:
        UsageError: the numbers differ, or only some names fit.
    """
    names = [name for name in parameters if name in inputs]
    if set(names) == set(inputs):
        return [inputs[name] for name in names]
    if names or len(parameters) < len(inputs):
        raise UsageError(
            f"the model takes {', '.join(parameters)}, but the samples have {', '.join(inputs)}; "
            "give them the same names"
        )
    return list(inputs.values())


def batch_of(inputs: Sequence[Tensor]) -> int | None:
    """The fixed batch size of a model's inputs, or None where it is free or unknown."""
    return next((tensor.shape[0] for tensor in inputs if tensor.shape), None)
