"""Batches of columns out of whatever a stream's `read` returned.

`ray.data.Dataset`, `tf.data.Dataset`, `torch.utils.data.Dataset` and plain iterables are told
apart by the module of their class, so that no framework is imported that is not in use already.
Whether the numbers are good is judged by whoever takes the batches.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.errors import DataError, nearest
from toolkit.recipe import Array

Batch = dict[str, Array]

_BATCH_BYTES = 4 * 2**20
_BATCH_SAMPLES = 1024


def batches(value: Any, columns: Sequence[str]) -> Iterator[Batch]:
    """Yield the samples in order: arrays [n, ...] by column, a few megabytes at a time.

    Args:
        value: what `Stream.read` returned.
        columns: the ones to keep.

    Raises:
        DataError: a kind of data that cannot be read; a column is missing, ragged or no numbers.
    """
    if _is_from(value, "ray.data"):
        yield from _of_ray(value, columns)
    elif _is_from(value, "tensorflow.python.data"):
        yield from _of_tensorflow(value, columns)
    else:
        yield from _grouped(_elements(value), columns)


def expected_count(value: Any) -> int | None:
    """How many samples there will be, where that is known without reading them."""
    if _is_from(value, "ray.data"):
        return None
    if _is_from(value, "tensorflow.python.data"):
        count = int(value.cardinality())
        return count if count >= 0 else None
    try:
        return len(value)
    except TypeError:
        return None


def _is_from(value: Any, package: str) -> bool:
    names = (base.__module__ for base in type(value).__mro__)
    return any(name == package or name.startswith(f"{package}.") for name in names)


def _of_ray(dataset: Any, columns: Sequence[str]) -> Iterator[Batch]:
    known = dataset.columns() or []
    for column in columns:
        if known and column not in known:
            raise DataError(f"there is no column {column!r}; {nearest(column, known)}")
    done = 0
    for batch in dataset.select_columns(list(columns)).iter_batches(
        batch_size=None, batch_format="numpy", prefetch_batches=1
    ):
        if not len(batch[columns[0]]):
            continue
        yield {column: _dense(column, batch[column], done) for column in columns}
        done += len(batch[columns[0]])


def _of_tensorflow(dataset: Any, columns: Sequence[str]) -> Iterator[Batch]:
    import tensorflow as tf

    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise DataError("the tf.data.Dataset never ends; leave out repeat(), epochs are counted")
    specs = tf.nest.flatten(dataset.element_spec)
    if not all(isinstance(s, tf.TensorSpec) and s.shape.is_fully_defined() for s in specs):
        yield from _grouped(dataset.as_numpy_iterator(), columns)
        return
    size = sum(spec.dtype.size * spec.shape.num_elements() for spec in specs)
    done = 0
    for element in dataset.batch(_samples_in_batch(size)).as_numpy_iterator():
        found = _columns(element, columns, done)
        yield {column: _dense(column, found[column], done) for column in columns}
        done += len(found[columns[0]])


def _elements(value: Any) -> Iterator[Any]:
    """Sample after sample of a torch Dataset, a sequence or an iterable."""
    if _is_from(value, "torch.utils.data.dataloader"):
        raise DataError("a DataLoader gives batches; return its dataset instead")
    if hasattr(type(value), "__getitem__") and hasattr(type(value), "__len__"):
        if not isinstance(value, Mapping | str | bytes):
            yield from (value[index] for index in range(len(value)))
            return
    elif hasattr(type(value), "__iter__"):
        yield from value
        return
    raise DataError(
        f"its read function returned {type(value).__name__}; return a ray.data.Dataset, a "
        "tf.data.Dataset, a torch Dataset, or an iterable of (x, y) pairs or dicts"
    )


def _grouped(elements: Iterable[Any], columns: Sequence[str]) -> Iterator[Batch]:
    done, waiting = 0, iter(elements)
    limit = 1
    while group := list(itertools.islice(waiting, limit)):
        found = [_columns(element, columns, done + i) for i, element in enumerate(group)]
        batch = {column: _stacked(column, [f[column] for f in found], done) for column in columns}
        yield batch
        done += len(group)
        limit = _samples_in_batch(sum(array.nbytes for array in batch.values()) // len(group))


def _samples_in_batch(sample_bytes: int) -> int:
    return max(1, min(_BATCH_SAMPLES, _BATCH_BYTES // max(1, sample_bytes)))


def _columns(element: Any, columns: Sequence[str], index: int) -> Mapping[str, Any]:
    """An element as a mapping that has the wanted columns."""
    if isinstance(element, tuple | list) and len(element) == 2:
        x, y = element
        element = {**x, "y": y} if isinstance(x, Mapping) else {"x": x, "y": y}
    if not isinstance(element, Mapping):
        raise DataError(
            f"sample {index} is {type(element).__name__}; it must be an (x, y) pair or a dict"
        )
    for column in columns:
        if column not in element:
            raise DataError(
                f"sample {index} has no column {column!r}; {nearest(column, map(str, element))}"
            )
    return element


def _dense(column: str, array: Any, first: int) -> Array:
    """A column as Ray or TensorFlow give it: an array of numbers, or of objects a row."""
    array = np.asarray(array)
    return array if array.dtype.kind in "fiub" else _stacked(column, list(array), first)


def _stacked(column: str, values: Sequence[Any], first: int) -> Array:
    """Samples of one shape as an array [n, ...]."""
    arrays = [_sample(column, value, first + index) for index, value in enumerate(values)]
    shape = arrays[0].shape
    for index, array in enumerate(arrays):
        if array.shape != shape:
            raise DataError(
                f"column {column!r}: sample {first + index} has shape {array.shape}, the ones "
                f"before it {shape}; resize or pad them to one shape"
            )
    return np.stack(arrays)


def _sample(column: str, value: Any, index: int) -> Array:
    try:
        array = np.asarray(value)
        if array.dtype == object and array.ndim:  # such as a list of lists, as Arrow gives it
            array = np.stack([np.asarray(part) for part in array])
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"column {column!r}: sample {index} is no array: {error}") from error
    if array.dtype.kind in "fiub":
        return array
    hint = "encode it as numbers in the read function"
    if value is None:
        hint = "fill in what is missing, or drop the sample, in the read function"
    kind = type(value).__name__ if array.dtype.kind in "OUS" else str(array.dtype)
    raise DataError(f"column {column!r}: sample {index} is {kind}, not a number; {hint}")
