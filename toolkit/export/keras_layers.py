"""Which Keras layer an operator belongs to: converters show the scopes in which it was made."""

import re
from collections.abc import Sequence
from typing import Any


def layer_of(text: str, layers: Sequence[Any]) -> str:
    """The innermost layer whose name is part of an operator's path, or ''.

    Args:
        text: such as 'functional_1/scale_1/Erfinv' or 'sequential/dense/MatMul;sequential/...'.
        layers: the model's.
    """
    known = {layer.name: type(layer).__name__ for layer in layers}
    for path in re.findall(r"[\w.\-/]+/[\w.\-]+", text):
        for part in reversed(path.split("/")):
            for name in (part, re.sub(r"_\d+$", "", part)):  # a second call gets a number
                if name in known:
                    return f"{name!r}, a {known[name]}"
    return ""
