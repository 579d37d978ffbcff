"""How requests become one call of a model, and its outputs their answers again.

No queue and no waiting here: batcher.py decides which requests are joined, and when. For one thread
at a time, as the model is.
"""

import time
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from edge.errors import InputError
from toolkit.serve.errors import FailedError, RequestError
from toolkit.serve.version import Array, Arrays, Version

Key = tuple[tuple[str, str, tuple[int, ...]], ...]
"""Name, dtype and axes but the first of every input: only requests with the same are joined."""

Outcome = dict[str, Array] | RequestError
"""Outputs [n, ...] by name, or why there are none."""

Call = tuple[int, int, float]
"""Requests, samples without padding, and seconds of one call of the model."""


class Unjoinable(Exception):  # noqa: N818 - never leaves this package
    """An output has no row for every sample; names it."""


class Joiner:
    """Runs requests of one version together.

    Args:
        version: whose `joins` says whether that is safe; set to False where it turns out not to be.
        size: most samples of one call.

    Attributes:
        most: samples up to which requests are joined: `size`, or less where the version is faster
            then, made a multiple of the batch that the file fixes. A larger request runs alone.
    """

    def __init__(self, version: Version, size: int) -> None:
        self._version, self._fixed = version, version.batch or 1
        least = min(size, version.most or size)
        self.most = 1 if size == 1 else max(least - least % self._fixed, self._fixed)

    def key(self, inputs: Arrays) -> Key | None:
        """What two requests must have alike; None for one that runs alone."""
        if not self._version.joins or self.most == 1 or not _has_rows(inputs):
            return None
        return tuple(sorted((n, a.dtype.str, a.shape[1:]) for n, a in inputs.items()))

    def run(self, requests: Sequence[Arrays]) -> tuple[list[Outcome], list[Call]]:
        """The outcome of every request, in order, and the calls that it took.

        More than one request must have the same key. If they fail together, each runs alone: what
        is wrong with one is never the others' fault.
        """
        calls: list[Call] = []
        if len(requests) > 1 and self._version.joins:
            try:
                return [*self._together(requests, calls)], calls
            except Unjoinable:
                self._version.joins = False
            except Exception:  # noqa: BLE001 - told by the one that fails again
                calls.clear()
        return [self._alone(inputs, calls) for inputs in requests], calls

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """The outputs of one request.

        Raises:
            RequestError: the inputs do not fit.
            FailedError: the model failed; the cause is chained.
        """
        try:
            samples = samples_of(inputs)
            if samples % self._fixed and self._version.joins and _has_rows(inputs):
                return self._outputs([inputs], [samples])[0]
            return self._version.run(inputs)
        except InputError as error:
            raise RequestError(self._told(error)) from error
        except Unjoinable as error:
            raise RequestError(
                f"the model takes {self._fixed} samples at a time, got {samples}: its output "
                f"{error} has no row for each; send a multiple of {self._fixed}"
            ) from error
        except Exception as error:
            raise FailedError("the model failed; the server's log says why") from error

    def _together(self, requests: Sequence[Arrays], calls: list[Call]) -> list[dict[str, Array]]:
        counts = [samples_of(inputs) for inputs in requests]
        begun = time.perf_counter()
        outputs = self._outputs(requests, counts)
        calls.append((len(requests), sum(counts), time.perf_counter() - begun))
        return outputs

    def _alone(self, inputs: Arrays, calls: list[Call]) -> Outcome:
        begun = time.perf_counter()
        try:
            return self.run_one(inputs)
        except RequestError as error:
            return error
        finally:
            calls.append((1, samples_of(inputs), time.perf_counter() - begun))

    def _outputs(self, requests: Sequence[Arrays], counts: Sequence[int]) -> list[dict[str, Array]]:
        """One call, padded with the last sample up to what the file takes, cut for each request."""
        total = sum(counts)
        padded = total + -total % self._fixed
        joined = {
            name: _stacked([inputs[name] for inputs in requests], padded - total)
            for name in requests[0]
        }
        outputs = self._version.run(joined)
        for name, array in outputs.items():
            if array.shape[:1] != (padded,):
                raise Unjoinable(name)
        cuts = list(pairwise(accumulate(counts, initial=0)))
        return [{n: array[start:end] for n, array in outputs.items()} for start, end in cuts]

    def _told(self, error: InputError) -> str:
        """The message without the file's place on this machine."""
        return str(error).replace(self._version.model.source, self._version.name)


def samples_of(inputs: Arrays) -> int:
    """The first axis of the first input that has one; 1 where none has."""
    for array in inputs.values():
        if array.ndim:
            return len(array)
    return 1


def _has_rows(inputs: Arrays) -> bool:
    """Whether all inputs have as many samples, one at least."""
    counts = {array.shape[:1] for array in inputs.values()}
    return len(counts) == 1 and not counts & {(), (0,)}


def _stacked(arrays: Sequence[Array], padding: int) -> Array:
    """The rows of all, and the last one `padding` times more."""
    if padding:
        arrays = [*arrays, np.repeat(arrays[-1][-1:], padding, axis=0)]
    return np.concatenate(arrays)
