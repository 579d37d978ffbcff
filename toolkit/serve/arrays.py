"""Arrays of exactly the dtype and shape that a model takes, from nested lists of JSON.

The fast way looks at whole levels of lists at once and asks for nothing but lengths and types.
Only where that fails, wrong.py finds out what is wrong and where.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import chain
from typing import Any, NoReturn

from toolkit.serve import wrong
from toolkit.serve.errors import RequestError
from toolkit.serve.values import flat
from toolkit.serve.version import Array, Spec


def array(value: Any, spec: Spec, where: str) -> Array:
    """Nested lists (a bare value for a shape without axes) as an array of the spec.

    Numbers may be written 3 or 3.0 for every dtype; texts as they are, or their UTF-8 as
    {"b64": BASE64}, and give an array of objects. A spec's first axis takes any number of samples.

    Args:
        value: what JSON gave.
        spec: dtype and shape.
        where: the place in the request, for messages, such as 'instances'.

    Raises:
        RequestError: lists that differ in length, another number of axes or size, no samples,
            values of another type, or out of the dtype's range.
    """
    level: Sequence[Any] = [value]
    shape: list[int] = []
    try:
        for size in spec.shape:
            if not shape or spec.dtype == "str":
                _need_lists(level)  # a text and an object have a length, too
            if size == 1 and shape:
                level = [item for (item,) in level]  # fails unless each holds exactly one
                shape.append(1)
                continue
            lengths = set(map(len, level))
            (length,) = lengths
            if not length or (size is not None and length != size and shape):
                raise ValueError
            shape.append(length)
            only = len(level) == 1 and type(level[0]) is list
            level = level[0] if only else list(chain.from_iterable(level))
        return flat(level, spec).reshape(shape)
    except (TypeError, ValueError, OverflowError):
        wrong.refuse(value, spec, where)


def _need_lists(level: Sequence[Any]) -> None:
    if set(map(type, level)) != {list}:
        raise TypeError


def by_name(specs: Sequence[Spec], names: Mapping[str, Any], where: str) -> None:
    """Check that there is a value for each input, and none for others.

    Raises:
        RequestError: names the inputs that are unknown or missing.
    """
    if len(specs) == len(names) and all(spec.name in names for spec in specs):
        return
    known = [spec.name for spec in specs]
    for name in names:
        if name not in known:
            unknown(name, known, where)
    missing = ", ".join(
        f"{spec.name} ({wrong.described(spec)})" for spec in specs if spec.name not in names
    )
    raise RequestError(f"{where}: no value for input {missing}; give all of {', '.join(known)}")


def unknown(name: str, known: Sequence[str], where: str, kind: str = "input") -> NoReturn:
    """Raise a RequestError for a name that the model does not have."""
    near = get_close_matches(name[:100], known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"{kind}s are {', '.join(known)}"
    raise RequestError(f"{where}: no {kind} is called {name[:100]!r}; {hint}")


def same_count(specs: Sequence[Spec], inputs: Mapping[str, Array]) -> None:
    """Check that all inputs with a batch axis have the same number of samples.

    Raises:
        RequestError: says how many each has.
    """
    if len(specs) == 1:
        return
    counts = {spec.name: len(inputs[spec.name]) for spec in specs if spec.shape}
    if len(set(counts.values())) > 1:
        given = ", ".join(f"input {name} has {count}" for name, count in counts.items())
        raise RequestError(
            f"the inputs differ in the number of samples: {given}; expected as many in each"
        )
