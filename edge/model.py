"""A loaded model: what it takes and answers, and one way to run it whatever the runtime.

The public `predict` checks the inputs and cuts them into the batches that the file allows; the one
private method `_run` is all that a runtime adds. Where the manifest states how the file's integers
stand for float32, float32 goes in and comes out, and the integers stay inside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edge.errors import BrokenRuntimeError, EdgeError, InputError, ModelError
from edge.manifest import Manifest
from edge.quantisation import dequantise, quantise
from edge.tensor import Tensor, align


class Model(ABC):
    """A model file opened by one runtime. Not for several threads at once.

    source    the path, for messages
    runtime   such as "LiteRT 2.3.0"
    inputs    in the manifest's order and names, else in the file's; axis 0 counts the samples
    outputs   likewise
    manifest  None if the file carries none
    member    reads a file of the bundle that the model came in by name; None without a bundle
    """

    member: Callable[[str], bytes] | None = None

    def __init__(
        self,
        source: str,
        runtime: str,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        manifest: Manifest | None,
    ) -> None:
        self.source = source
        self.runtime = runtime
        self.manifest = manifest
        wanted_inputs = manifest.inputs if manifest else tuple(inputs)
        wanted_outputs = manifest.outputs if manifest else tuple(outputs)
        self._input_order = align(inputs, wanted_inputs, f"{source}: inputs")
        self._output_order = align(outputs, wanted_outputs, f"{source}: outputs")
        self.inputs = _renamed(inputs, self._input_order, wanted_inputs)
        self.outputs = _renamed(outputs, self._output_order, wanted_outputs)
        self._input_dtypes = [inputs[position].dtype for position in self._input_order]
        self._output_names = [tensor.name for tensor in self.outputs]
        self._is_quantised = any(t.quantization for t in (*self.inputs, *self.outputs))
        self._last: list[tuple[str, np.dtype, tuple[int, ...]]] = []

    def predict(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model on n samples: arrays [n, ...] by input name to arrays [n, ...] by output.

        All samples run at once where the file leaves axis 0 free. Where the file fixes it at b,
        chunks of b samples run one after another and their outputs are joined.

        Raises InputError if a name, shape or dtype does not fit or n is no multiple of b, and
        BrokenRuntimeError if the runtime fails.
        """
        again = self._as_last(inputs)
        if again is not None:
            return self._guarded_run(again)
        arrays = self._checked(inputs)
        parts = [self._guarded_run(chunk) for chunk in self._chunks(arrays)]
        if len(parts) == 1:
            self._remember(inputs, arrays)
            return parts[0]
        # An output without axes is one value a chunk.
        return {
            name: np.concatenate([np.atleast_1d(part[name]) for part in parts]) for name in parts[0]
        }

    @abstractmethod
    def _run(self, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Run one batch of right shapes and the file's dtypes: in and out in the order of self."""

    def _as_last(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray] | None:
        """The arrays, if names, dtypes and shapes are as in the last call that passed the checks.

        Nothing else is checked of arrays that are neither converted nor quantised nor cut.
        """
        last = self._last
        if not last or len(inputs) != len(last):
            return None
        arrays = []
        for name, dtype, shape in last:
            array = inputs.get(name)
            if type(array) is not np.ndarray or array.dtype != dtype or array.shape != shape:
                return None
            arrays.append(array)
        return arrays

    def _remember(self, inputs: Mapping[str, np.ndarray], arrays: Sequence[np.ndarray]) -> None:
        names = [tensor.name for tensor in self.inputs]
        same = all(inputs[name] is array for name, array in zip(names, arrays))
        if same and not self._is_quantised:
            self._last = [(n, array.dtype, array.shape) for n, array in zip(names, arrays)]

    def _guarded_run(self, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        try:
            outputs = self._run(inputs)
        except EdgeError:
            raise
        except Exception as error:  # runtimes raise bare RuntimeError, ValueError and Exception
            shapes = ", ".join(str(list(array.shape)) for array in inputs)
            raise BrokenRuntimeError(
                f"{self.source}: {self.runtime} failed on inputs of shape {shapes}: {error}\n"
                "if one sample works, the export fixed the batch size somewhere inside"
            ) from error
        if not self._is_quantised:
            return dict(zip(self._output_names, outputs))
        return {t.name: dequantise(array, t) for t, array in zip(self.outputs, outputs)}

    def _checked(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        names = [tensor.name for tensor in self.inputs]
        for name in inputs:
            if name not in names:
                from difflib import get_close_matches  # its import costs a cold start 3 ms

                near = get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"inputs: {', '.join(names)}"
                raise InputError(f"{self.source}: no input is called {name!r}; {hint}")
        missing = [str(tensor) for tensor in self.inputs if tensor.name not in inputs]
        if missing:
            raise InputError(f"{self.source}: no value for {', '.join(missing)}")
        return [
            quantise(_fitted(np.asarray(inputs[tensor.name]), tensor), tensor, dtype)
            for tensor, dtype in zip(self.inputs, self._input_dtypes)
        ]

    def _chunks(self, arrays: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
        counts = {len(array) for array in arrays if array.ndim}
        if 0 in counts:
            raise InputError(f"{self.source}: no samples")
        if len(counts) > 1:
            given = ", ".join(f"{t.name} has {len(a)}" for t, a in zip(self.inputs, arrays))
            raise InputError(f"{self.source}: the inputs differ in number of samples: {given}")
        sizes = {tensor.shape[0] for tensor in self.inputs if tensor.shape}
        size, count = sizes.pop() if sizes else None, counts.pop() if counts else 1
        if sizes:
            raise ModelError(f"{self.source}: the inputs differ in their batch size")
        if size is None:
            return [list(arrays)]
        if count % size:
            raise InputError(
                f"{self.source}: takes {size} samples at a time, {count} is no multiple of it"
            )
        return [
            [array[start : start + size] if array.ndim else array for array in arrays]
            for start in range(0, count, size)
        ]


def _renamed(
    found: Sequence[Tensor], order: Sequence[int], wanted: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The tensors of the file in the manifest's order, under the manifest's names.

    A quantisation stays only where the file holds integers for what the manifest calls float32.
    """
    pairs = zip(wanted, (found[position] for position in order))
    return tuple(
        Tensor(t.name, own.shape, t.dtype, t.quantization if own.dtype != t.dtype else None)
        for t, own in pairs
    )


def _fitted(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """The array in the tensor's dtype; axis 0 is the batch and is checked elsewhere."""
    sizes = zip(array.shape[1:], tensor.shape[1:])
    if array.ndim != len(tensor.shape) or any(b is not None and a != b for a, b in sizes):
        raise InputError(f"input {tensor}: got an array of shape {list(array.shape)}")
    dtype = np.dtype(tensor.dtype)
    if array.dtype == dtype:
        return array
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise InputError(
            f"input {tensor}: got {array.dtype}, which does not convert without loss\n"
            "convert it yourself, or add a cast step to the preprocessing"
        )
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    # same_kind lets int64 wrap around in int8 and float64 overflow in float32.
    lost = cast != array if dtype.kind in "iu" else np.isfinite(array) & ~np.isfinite(cast)
    if np.any(lost):
        raise InputError(f"input {tensor}: {array[lost].flat[0]} is out of the range of {dtype}")
    return cast
