"""Metrics as a TensorBoard event file, written without TensorFlow."""

import io
from collections.abc import Iterable
from typing import Any

_NOT_METRICS = {"epoch", "step", "time"}


def event_file(rows: Iterable[dict[str, Any]], started: float) -> bytes:
    """The content of an event file with one scalar a metric and epoch.

    Args:
        rows: one an epoch, with 'epoch', 'time' (seconds since 1970) and metrics by name.
        started: wall time of the run's start, seconds since 1970.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    writer.write(Event(wall_time=started, file_version="brain.Event:2").SerializeToString())
    for row in rows:
        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if name not in _NOT_METRICS
        ]
        event = Event(wall_time=row["time"], step=row["epoch"], summary=Summary(value=values))
        writer.write(event.SerializeToString())
    return buffer.getvalue()
