"""Event files, read back by TensorBoard's own reader in a process without TensorFlow."""

import contextlib
import json
import resource
import subprocess
import sys

import numpy as np
import pytest

from toolkit.errors import StorageError
from toolkit.train.events import EventWriter, buckets

# As Python's event accumulator sees the files of a folder: [tag, step, wall time, number].
READER = """
import json, sys, types
sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")  # TensorBoard's own switch
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
read = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0}).Reload()
found = []
for tag in read.Tags()["tensors"]:
    for event in read.Tensors(tag):
        found.append([tag, event.step, event.wall_time, make_ndarray(event.tensor_proto).tolist()])
answer = {"found": found, "tensorflow": "tensorflow" in sys.modules}
print(json.dumps(answer, default=bytes.hex))
"""
WRITER = """
import sys
import numpy as np
from pathlib import Path
from toolkit.train.events import EventWriter
writer = EventWriter(Path(sys.argv[1]))
writer.rows([{"epoch": 1, "step": 10, "time": 100.0, "loss": 0.5}])
writer.histograms(10, {"model.w": np.arange(4.0)})
writer.graph(b"")
writer.close()
print(*{"tensorflow", "torch", "keras"} & set(sys.modules))
"""
ROWS = [
    {"epoch": 1, "step": 10, "time": 100.25, "loss": 0.5},
    {"epoch": 2, "step": 20, "time": 101.5, "loss": 0.25, "val_loss": 1e-30, "val_mae": -3.0},
    {"epoch": 700, "step": 7_000_000_000, "time": 2e9, "loss": np.float32(3e38)},
]


@pytest.fixture
def writer(tmp_path):
    with contextlib.ExitStack() as stack:

        def make(first_step=0):
            writer = EventWriter(tmp_path / "tensorboard" / "tf", first_step)
            return stack.enter_context(contextlib.closing(writer))

        yield make


@pytest.fixture
def read(tmp_path):
    def read():
        command = [sys.executable, "-c", READER, str(tmp_path / "tensorboard" / "tf")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout.splitlines()[-1])
        assert not answer["tensorflow"]
        return answer

    return read


def steps(answer, tag):
    return [step for name, step, _, _ in answer["found"] if name == tag]


def test_rows_can_be_read_while_the_file_is_still_open(writer, read):
    writer().rows(iter(ROWS))
    assert sorted(read()["found"]) == [
        ["epoch", 10, 100.25, 1.0],
        ["epoch", 20, 101.5, 2.0],
        ["epoch", 7_000_000_000, 2e9, 700.0],
        ["loss", 10, 100.25, 0.5],
        ["loss", 20, 101.5, 0.25],
        ["loss", 7_000_000_000, 2e9, pytest.approx(3e38)],
        ["val_loss", 20, 101.5, pytest.approx(1e-30)],
        ["val_mae", 20, 101.5, -3.0],
    ]


def test_what_float32_cannot_hold_does_not_stop_a_run(writer, read):
    row = {"epoch": 1, "step": 1, "time": 1.0, "loss": float("nan"), "val_mse": 1e300, "val_mae": 1}
    writer().rows([row])
    found = {tag: number for tag, _, _, number in read()["found"]}
    assert found["loss"] != found["loss"]  # NaN
    assert found["val_mse"] == float("inf")
    assert found["val_mae"] == 1.0


def test_histograms_and_graph(writer, read):
    first = writer()
    first.graph(b"\x22\x03\x08\xe9\x07")  # GraphDef(versions=VersionDef(producer=1001))
    arrays = {
        "w": np.arange(60.0).reshape(2, 30),
        "empty": np.zeros((0, 3)),
        "b": np.full(3, np.inf),
    }
    first.histograms(30, arrays)
    graph, histogram = read()["found"]
    assert (graph[0], graph[3]) == ("__run_graph__", ["220308e907"])  # TensorBoard's own name
    assert (histogram[0], histogram[1]) == ("w", 30)
    assert histogram[3] == buckets(arrays["w"]).tolist()


def test_images_and_texts(writer, read):
    first = writer()
    images = np.arange(2 * 4 * 5, dtype=np.float32).reshape(2, 4, 5, 1)
    first.images(30, {"golden/image": images, "golden/vector": np.zeros((2, 9))})
    first.images(40, {"golden/vector": np.zeros((2, 9))})  # nothing to show
    first.text("precisions", "| file |\n|---|\n| a |")
    image, text = read()["found"]
    assert (image[0], image[1]) == ("golden/image", 30)
    width, height, *pngs = [bytes.fromhex(value) for value in image[3]]
    assert (width, height, len(pngs)) == (b"5", b"4", 2)
    assert all(png.startswith(b"\x89PNG") for png in pngs)
    assert text[0] == "precisions"
    assert bytes.fromhex(text[3][0]).startswith(b"| file |")


@pytest.mark.parametrize("first_step", [0, 20])
def test_a_restart_drops_later_steps_and_keeps_what_the_checkpoint_knew(writer, read, first_step):
    before = writer()
    before.rows({"epoch": n, "step": 10 * n, "time": n, "loss": n} for n in (1, 2, 3, 4))
    before.histograms(40, {"w": np.ones(3)})
    kept = list(range(10, first_step + 1, 10))
    after = writer(first_step)
    assert steps(read(), "loss") == kept
    assert steps(read(), "w") == []
    after.rows([{"epoch": 5, "step": 50, "time": 9.0, "loss": 0.0}])
    assert steps(read(), "loss") == [*kept, 50]


def test_attempts_are_read_in_their_order_even_within_one_second(writer, read, tmp_path):
    for step in range(12):  # as text, attempt 10 must not come before attempt 9
        writer(step).rows([{"epoch": step, "step": step + 1, "time": 1.0, "loss": step}])
    assert len(list((tmp_path / "tensorboard" / "tf").iterdir())) == 12
    assert steps(read(), "loss") == list(range(1, 13))


def test_a_half_written_end_hides_neither_what_was_before_nor_the_next_attempt(
    writer, read, tmp_path
):
    writer().rows(ROWS[:2])
    (path,) = (tmp_path / "tensorboard" / "tf").iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    writer(10).rows([{"epoch": 3, "step": 30, "time": 1.0, "loss": 0.1}])
    assert steps(read(), "loss") == [10, 30]


def test_writing_needs_no_framework(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_a_full_disk_is_an_error_with_a_next_step_and_what_was_written_stays(writer, read):
    first = writer()
    first.rows(ROWS[:2])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # a file can hold no more
    try:
        with pytest.raises(StorageError, match=r"cannot write .*tfevents.*: File too large; free"):
            first.graph(bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert steps(read(), "loss") == [10, 20]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "tensorboard").write_text("in the way")
    with pytest.raises(StorageError, match="tensorboard"):
        EventWriter(tmp_path / "tensorboard" / "tf")


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32),
        np.array([-3e38, 3e38], np.float32),
        np.array([1, np.nextafter(np.float32(1), np.float32(2))], np.float32),
        np.array([0, 1e-45], np.float32),
        np.arange(10),
        np.float32(3.0),
        np.array([True, False]),
    ],
)
def test_buckets_hold_every_value_once_between_the_least_and_the_greatest(values):
    rows = buckets(values)
    assert rows.shape == (30, 3)
    assert rows[:, 2].sum() == np.size(values)
    assert rows[0, 0] == np.min(values)
    assert rows[-1, 1] == np.max(values)
    np.testing.assert_array_equal(rows[1:, 0], rows[:-1, 1])


def test_buckets_count_where_the_values_are():
    rows = buckets(np.array([0.0, 0.5, 1.5, 29.5, 30.0, np.nan, np.inf, -np.inf]))
    assert rows[[0, 1, 2, 29], 2].tolist() == [2, 1, 0, 2]
    assert rows[1].tolist() == [1, 2, 1]
    assert buckets(np.full(5, 2.0))[-1].tolist() == [2, 2, 5]
    assert buckets(np.array([np.nan])) is None
    assert buckets(np.zeros(0)) is None
