"""The description of one input or output of a model, and how two descriptions are matched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from edge.errors import ModelError

Shape = tuple[Optional[int], ...]
"""Sizes by axis; None where the size is free. Axis 0 counts the samples."""

DTYPES = (
    "float32", "float16", "float64", "int8", "uint8", "int16", "uint16",
    "int32", "uint32", "int64", "uint64", "bool",
)  # fmt: skip
"""The dtypes that both a manifest and a runtime may name, spelled as numpy spells them."""

QUANTISED = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-(2**15), 2**15 - 1)}
"""The integers that may stand for float32 in a file, and their ranges."""


_KEYS = {"name", "shape", "dtype"}


@dataclass(frozen=True)
class Tensor:
    """Name, shape and dtype of an input or output.

    quantization  (scale, zero point) where the file itself holds integers that stand for float32:
                  value = (integer - zero point) * scale. The dtype is float32 then.

    Law: `Tensor.from_json(t.to_json(), where) == t`.
    """

    name: str
    shape: Shape
    dtype: str
    quantization: tuple[float, int] | None = None

    def __str__(self) -> str:
        sizes = ", ".join("n" if size is None else str(size) for size in self.shape)
        return f"{self.name} {self.dtype}[{sizes}]"

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; a free axis is null; `quantization` only where there is one."""
        value: dict[str, Any] = {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}
        if self.quantization is not None:
            value["quantization"] = dict(zip(("scale", "zero_point"), self.quantization))
        return value

    @classmethod
    def from_json(cls, value: object, where: str) -> Tensor:
        """Read what `to_json` wrote.

        Raises ModelError that names the field, prefixed by `where`.
        """
        if not isinstance(value, Mapping) or set(value) - {"quantization"} != _KEYS:
            raise ModelError(f"{where}: expected an object with name, shape and dtype")
        name, shape, dtype = value["name"], value["shape"], value["dtype"]
        if not isinstance(name, str) or not name:
            raise ModelError(f"{where}.name: expected text, got {name!r:.120}")
        if not isinstance(shape, list) or not all(_is_size(size) for size in shape):
            raise ModelError(f"{where}.shape: expected sizes above 0 or null, got {shape!r:.120}")
        if dtype not in DTYPES:
            raise ModelError(f"{where}.dtype: {dtype!r:.120} is not one of {', '.join(DTYPES)}")
        if "quantization" not in value:
            return cls(name, tuple(shape), dtype)
        quantization = value["quantization"]
        problem = _quantization_problem(quantization, dtype)
        if problem:
            raise ModelError(f"{where}.quantization: {problem}")
        pair = (float(quantization["scale"]), quantization["zero_point"])
        return cls(name, tuple(shape), dtype, pair)


def _quantization_problem(value: Any, dtype: str) -> str:
    """What is wrong with the JSON of a quantisation; empty if nothing is."""
    if not isinstance(value, Mapping) or set(value) != {"scale", "zero_point"}:
        return f"expected an object with scale and zero_point, got {value!r:.120}"
    scale, zero = value["scale"], value["zero_point"]
    if dtype != "float32":
        return f"integers stand for float32 only, not for {dtype}"
    # float32 computes with it: 1e-60 would be 0 there, 1e39 infinity
    if type(scale) not in (int, float) or not 1.2e-38 <= scale <= 3.4e38:
        return f"scale is {scale!r:.120}, not a number above 0 that float32 can hold"
    if type(zero) is not int or not any(low <= zero <= high for low, high in QUANTISED.values()):
        return f"zero_point is {zero!r:.120}, not a whole number of 16 bits"
    return ""


def _is_size(size: object) -> bool:
    return size is None or (type(size) is int and size > 0)


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key that puts args_2 before args_10, as whoever numbered them meant."""
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", name)]


def align(found: Sequence[Tensor], wanted: Sequence[Tensor], where: str) -> list[int]:
    """For each wanted tensor, the position in `found` of the tensor that it describes.

    By name where both sides carry the same names; by position where they share none, because
    converters rename (`args_0`, `StatefulPartitionedCall:0`). Shapes and dtypes must agree in both
    cases: that catches most swaps, and only a comparison of answers catches two tensors alike.
    Where the manifest states a quantisation, the model may hold integers for the float32.

    Raises ModelError if the counts, a shape or a dtype differ, or only some names are shared.
    """
    names = [tensor.name for tensor in found]
    if len(found) != len(wanted):
        raise ModelError(
            f"{where}: the manifest describes {len(wanted)} tensors, the model has {len(found)}\n"
            "export the model again"
        )
    known = {tensor.name for tensor in wanted} & set(names)
    if known and len(known) < len(names):
        raise ModelError(
            f"{where}: the manifest and the model share only the names {', '.join(sorted(known))}\n"
            "which of the others is which cannot be told; export the model again"
        )
    by_name = bool(known)
    order = [names.index(t.name) for t in wanted] if by_name else list(range(len(wanted)))
    for tensor, position in zip(wanted, order):
        if not _agree(found[position], tensor):
            raise ModelError(
                f"{where}: the manifest says {tensor}, the model has {found[position]}\n"
                "the manifest belongs to another model; export the model again"
            )
    return order


def _agree(found: Tensor, wanted: Tensor) -> bool:
    sizes = zip(found.shape, wanted.shape)
    return (
        (found.dtype == wanted.dtype or _stands_for(found.dtype, wanted))
        and len(found.shape) == len(wanted.shape)
        and all(a == b or a is None or b is None for a, b in sizes)
    )


def _stands_for(dtype: str, wanted: Tensor) -> bool:
    """Whether integers of `dtype` may hold the tensor's float32 as its quantisation says."""
    if wanted.quantization is None or dtype not in QUANTISED:
        return False
    low, high = QUANTISED[dtype]
    return low <= wanted.quantization[1] <= high
