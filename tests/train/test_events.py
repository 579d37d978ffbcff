"""The event file, read back by TensorBoard itself."""

import json
import subprocess
import sys

import pytest

from toolkit.train.events import event_file

READER = """
import json, sys, types
sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")  # TensorBoard's own switch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util.tensor_util import make_ndarray
found = []
for event in EventFileLoader(sys.argv[1]).Load():
    for value in event.summary.value:
        number = value.simple_value
        if value.HasField("tensor"):
            number = make_ndarray(value.tensor).item()
        found.append([value.tag, event.step, event.wall_time, number])
    if event.file_version:
        found.append(["version", event.step, event.wall_time, event.file_version])
print(json.dumps({"found": found, "tensorflow": "tensorflow" in sys.modules}))
"""
ROWS = [
    {"epoch": 1, "step": 10, "time": 100.25, "loss": 0.5},
    {"epoch": 2, "step": 20, "time": 101.5, "loss": 0.25, "val_loss": 1e-30, "val_mae": -3.0},
    {"epoch": 700, "step": 7000, "time": 2e9, "loss": 3e38},
]


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Write rows and read them back in a process of its own, without TensorFlow."""

    def read(rows, started=99.0):
        path = tmp_path_factory.mktemp("events") / "events.out.tfevents.1.toolkit"
        path.write_bytes(event_file(rows, started))
        command = [sys.executable, "-c", READER, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout.splitlines()[-1])
        assert not answer["tensorflow"]
        return answer["found"]

    return read


def test_tensorboard_reads_what_was_written(read):
    version, *scalars = read(ROWS)
    assert version == ["version", 0, 99.0, "brain.Event:2"]
    assert scalars == [
        ["loss", 1, 100.25, 0.5],
        ["loss", 2, 101.5, 0.25],
        ["val_loss", 2, 101.5, pytest.approx(1e-30)],
        ["val_mae", 2, 101.5, -3.0],
        ["loss", 700, 2e9, pytest.approx(3e38)],
    ]


def test_a_run_without_a_row_is_a_file_too(read):
    assert read([]) == [["version", 0, 99.0, "brain.Event:2"]]


def test_what_float32_cannot_hold_does_not_stop_a_run(read):
    rows = [{"epoch": 1, "time": 1.0, "loss": float("nan"), "val_mse": 1e300, "val_mae": 1.0}]
    found = {tag: number for tag, _, _, number in read(rows)}
    assert found["loss"] != found["loss"]  # NaN
    assert found["val_mse"] == float("inf")
    assert found["val_mae"] == 1.0


def test_rows_may_come_one_by_one():
    assert event_file(iter(ROWS), 99.0) == event_file(ROWS, 99.0)
