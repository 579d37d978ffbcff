"""From float32 to the integers that stand for it in a quantised file, and back."""

from __future__ import annotations

import numpy as np

from edge.errors import InputError
from edge.tensor import Tensor


def quantise(values: np.ndarray, tensor: Tensor, dtype: str) -> np.ndarray:
    """The integers of `dtype` nearest to float32 values: x / scale rounded half to even, + zero.

    What lies beyond the integers' range is clipped, infinity included. Arithmetic in float32, as
    ONNX's QuantizeLinear has it. Law: quantise(dequantise(q)) == q.

    Raises InputError for NaN, which no integer stands for.
    """
    if tensor.quantization is None:
        return values
    if np.isnan(values).any():
        raise InputError(f"input {tensor}: NaN has no place in {dtype}\ncheck the preprocessing")
    scale, zero_point = tensor.quantization
    limits = np.iinfo(dtype)
    with np.errstate(over="ignore"):
        steps = np.rint(values / np.float32(scale)) + np.float32(zero_point)
    whole: np.ndarray = np.clip(steps, limits.min, limits.max).astype(dtype)
    return whole


def dequantise(integers: np.ndarray, tensor: Tensor) -> np.ndarray:
    """The float32 values that integers stand for: (q - zero point) * scale."""
    if tensor.quantization is None:
        return integers
    scale, zero_point = tensor.quantization
    values: np.ndarray = (integers.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    return values
