"""A run as TensorBoard event files, written while it trains and without TensorFlow.

What is worth showing is decided by the training loop; here it only gets its form.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.pictures import images_of, png
from toolkit.files import make_directory, storage_errors
from toolkit.recipe import Array
from toolkit.train.reports import Row

_NOT_SHOWN = {"step", "time"}
_BUCKETS = 30
_IMAGES = 8  # golden samples that are shown


class EventWriter:
    """One attempt's event file; every call leaves it complete, so that TensorBoard can follow.

    Args:
        folder: of the event files of one framework's training; made where it is missing.
        first_step: optimizer steps done before this attempt. TensorBoard drops what earlier
            attempts wrote about later steps.

    Raises:
        StorageError: here and in every method, the disk is full or read-only; TensorBoard can
            still read what was written before.
    """

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        make_directory(folder)
        self._event = Event
        self._path = _next_path(folder)
        with storage_errors(self._path):
            self._records = RecordWriter(self._path.open("xb"))
        # TensorBoard takes the first START of all files for no restart, hence one in each file.
        # It drops what is at the START's step or later, and `first_step` itself is to stay.
        start = SessionLog(status=SessionLog.START)
        self._write(
            Event(wall_time=time.time(), file_version="brain.Event:2"),
            Event(wall_time=time.time(), step=first_step + 1, session_log=start),
        )

    def rows(self, rows: Iterable[Row]) -> None:
        """Add every metric of every row, and 'epoch', at the row's optimizer step.

        Args:
            rows: with 'step', 'time' (seconds since 1970), and numbers by name.
        """
        from tensorboard.compat.proto.summary_pb2 import Summary

        events = []
        for row in rows:
            values = [
                Summary.Value(tag=name, simple_value=value)
                for name, value in row.items()
                if name not in _NOT_SHOWN
            ]
            summary = Summary(value=values)
            events.append(self._event(wall_time=row["time"], step=row["step"], summary=summary))
        self._write(*events)

    def histograms(self, step: int, arrays: Mapping[str, Array]) -> None:
        """Add the distribution of each array's finite values; an array without any is left out."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=_histograms(arrays))
        self._write(self._event(wall_time=time.time(), step=step, summary=summary))

    def graph(self, content: bytes) -> None:
        """Add the model's graph, a serialised TensorFlow `GraphDef`."""
        self._write(self._event(wall_time=time.time(), graph_def=content))

    def images(self, step: int, arrays: Mapping[str, Array]) -> None:
        """Add the first samples [n, ...] of each array that holds images; others are left out."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = []
        for name, array in arrays.items():
            if (found := images_of(array)) is not None:
                content = [str(side).encode() for side in found.shape[2:0:-1]]
                content += [png(image) for image in found[:_IMAGES]]
                values.append(_strings(name, "images", content))
        if values:
            self._write(
                self._event(wall_time=time.time(), step=step, summary=Summary(value=values))
            )

    def text(self, name: str, markdown: str) -> None:
        """Add a text, shown as Markdown."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[_strings(name, "text", [markdown.encode()])])
        self._write(self._event(wall_time=time.time(), step=0, summary=summary))

    def close(self) -> None:
        """Close the file."""
        with storage_errors(self._path):
            self._records.close()

    def _write(self, *events: Any) -> None:
        with storage_errors(self._path):
            for event in events:
                self._records.write(event.SerializeToString())
            self._records.flush()


def _next_path(folder: Path) -> Path:
    """A name that sorts behind those in `folder`: TensorBoard reads in the order of names."""
    numbers = [path.name.split(".")[3] for path in folder.glob("events.out.tfevents.*.toolkit")]
    last = max((int(number) for number in numbers if number.isdigit()), default=0)
    return folder / f"events.out.tfevents.{max(int(time.time()), last + 1)}.toolkit"


def _strings(name: str, plugin: str, content: Sequence[bytes]) -> Any:
    """A value of the plug-ins that take strings: 'text', and 'images' as width, height, PNGs."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING

    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=len(content))])
    tensor = TensorProto(dtype=DT_STRING, tensor_shape=shape, string_val=content)
    data = SummaryMetadata.PluginData(plugin_name=plugin)
    return Summary.Value(tag=name, metadata=SummaryMetadata(plugin_data=data), tensor=tensor)


def _histograms(arrays: Mapping[str, Array]) -> Iterator[Any]:
    """Values in the form that TensorFlow 2 writes: a tensor of (left, right, count) rows."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.types_pb2 import DT_DOUBLE

    plugin = SummaryMetadata.PluginData(plugin_name="histograms")
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in (_BUCKETS, 3)])
    for name, array in arrays.items():
        rows = buckets(array)
        if rows is not None:
            tensor = TensorProto(dtype=DT_DOUBLE, tensor_shape=shape, tensor_content=rows.tobytes())
            yield Summary.Value(
                tag=name, metadata=SummaryMetadata(plugin_data=plugin), tensor=tensor
            )


def buckets(array: Array) -> Array | None:
    """Count an array's finite values in buckets of equal width, as float32.

    Returns:
        float64 [30, 3] rows of (left edge, right edge, count); where all values are equal, so are
        the edges, and the last bucket counts them. None where there is no finite value.
    """
    with np.errstate(over="ignore"):
        values = np.asarray(array).astype(np.float32).ravel()
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, high = np.float64(values.min()), np.float64(values.max())
    edges = np.linspace(low, high, _BUCKETS + 1)
    counts = np.zeros(_BUCKETS)
    counts[-1] = values.size
    if low < high:
        counts = np.histogram(values, _BUCKETS, (low, high))[0]
    return np.stack([edges[:-1], edges[1:], counts], axis=1).astype("<f8")
