"""Streams of every kind become records that equal the source, and bad ones are refused."""

import os
import pickle
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from PIL import Image

from toolkit.data import cache, copies, ingest
from toolkit.data.load import Unread, load
from toolkit.data.plan import SamplePlan
from toolkit.data.records import Records
from toolkit.errors import DataError, StorageError, WorkerError

X = np.arange(20, dtype=np.float32).reshape(10, 2)
Y = np.arange(10) % 3


def feature(kind: int, values: bytes) -> bytes:
    """A tf.train.Feature: field `kind` holds a list, whose field 1 is packed."""
    inner = b"\x0a" + bytes([len(values)]) + values
    return bytes([kind << 3 | 2, len(inner)]) + inner


def write_tfrecord(path: Path, rows) -> None:
    """The format by hand: length, checksums (which Ray does not check), tf.train.Example."""
    with path.open("wb") as file:
        for x, y in rows:
            entries = b""
            for name, value in (
                (b"x", feature(2, struct.pack(f"<{len(x)}f", *x))),
                (b"y", feature(3, bytes([int(y)]))),
            ):
                entry = b"\x0a" + bytes([len(name)]) + name
                entry += b"\x12" + bytes([len(value)]) + value
                entries += b"\x0a" + bytes([len(entry)]) + entry
            example = b"\x0a" + bytes([len(entries)]) + entries
            file.write(struct.pack("<QI", len(example), 0) + example + struct.pack("<I", 0))


def write_parquet(folder: Path, rows=X, targets=Y, files=3, **columns) -> None:
    folder.mkdir()
    for index, part in enumerate(np.array_split(np.arange(len(targets)), files)):
        table = {
            "x": pa.array(list(rows[part]), pa.list_(pa.float32())),
            "y": pa.array(targets[part]),
        }
        table |= {name: pa.array(values[part]) for name, values in columns.items()}
        pa.parquet.write_table(pa.table(table), folder / f"{index}.parquet")


def write_csv(folder: Path) -> None:
    folder.mkdir()
    for index, part in enumerate(np.array_split(np.arange(10), 3)):
        table = pa.table({"a": X[part, 0], "b": X[part, 1], "y": Y[part]})
        pa.csv.write_csv(table, folder / f"{index}.csv")


TORCH = """
import torch
class Pairs(torch.utils.data.Dataset):
    def __len__(self):
        return 10
    def __getitem__(self, i):
        return torch.from_numpy(X[i]), int(Y[i])
return Pairs()
"""
TORCH_ITERABLE = """
import torch
class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        for x, y in zip(X, Y):
            yield {"x": torch.from_numpy(x), "y": torch.tensor(y)}
return Stream()
"""
TF = "import tensorflow as tf\nreturn tf.data.Dataset.from_tensor_slices((X, Y))"
TF_UNKNOWN = """
import tensorflow as tf
spec = {"x": tf.TensorSpec([None], tf.float32), "y": tf.TensorSpec([], tf.int64)}
return tf.data.Dataset.from_generator(
    lambda: ({"x": x, "y": y} for x, y in zip(X, Y)), output_signature=spec)
"""
RAY = "import ray.data\nreturn ray.data."
MAPPED = """
import ray.data
def join(batch):  # of the recipe's own module, which Ray's processes cannot import
    return {"x": np.stack([batch["a"], batch["b"]], axis=1).astype(X.dtype), "y": batch["y"]}
return ray.data.read_csv(str(HERE / "csv")).map_batches(join)
"""
SOURCES = {
    "parquet": RAY + "read_parquet(str(HERE / 'parquet'))",
    "csv": MAPPED,
    "tfrecord": RAY + "read_tfrecords(str(HERE / 'data.tfrecords'))",
    "tf.data": TF,
    "tf.data of unknown shape": TF_UNKNOWN,
    "torch": TORCH,
    "torch iterable": TORCH_ITERABLE,
    "list of pairs": "return list(zip(X, Y))",
    "generator of dicts": "return ({'x': x, 'y': y} for x, y in zip(X, Y))",
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_source_gives_its_samples_once(
    ray_cluster, tmp_path, recipe_file, cache_dir, kind
):
    write_parquet(tmp_path / "parquet")
    write_csv(tmp_path / "csv")
    write_tfrecord(tmp_path / "data.tfrecords", zip(X, Y, strict=True))
    source = recipe_file(SOURCES[kind], loss="cross_entropy")
    unread = load(source.load())
    assert isinstance(unread, Unread)
    train = unread.read(source).train
    whole = train.take(slice(0, 10))
    assert whole.inputs["input"].tolist() == X.tolist()
    assert whole.inputs["input"].dtype == np.float32
    assert whole.targets.tolist() == Y.tolist()
    assert (len(train), train.classes(), train.sample_bytes) == (10, 3, 16)
    for world in (1, 3):
        plan = SamplePlan(10, 4, seed=1)
        seen = [
            train.take(plan.shard(0, step, rank, world)).inputs["input"][:, 0]
            for step in range(plan.steps_per_epoch)
            for rank in range(world)
        ]
        assert sorted(np.concatenate(seen)) == X[:, 0].tolist()


def test_images_in_class_folders(ray_cluster, tmp_path, recipe_file, cache_dir):
    expected = []
    for number, name in enumerate(["ant", "bee", "cat"]):
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(4):
            pixels = np.full((6, 5, 3), 40 * number + index, np.uint8)
            pixels[0, 0] = (255, 0, index)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{index}.png")
            expected.append((pixels.tolist(), number))
    body = "from toolkit.data.images import image_folder\n"
    body += "return image_folder(HERE / 'images', size=(6, 5))"
    source = recipe_file(body)
    records = Records(ingest.materialise(source, "train").folder)
    assert records["x"].dtype == np.uint8
    assert records["x"].tolist() == [pixels for pixels, _ in expected]
    assert records["y"].tolist() == [number for _, number in expected]


def test_a_folder_without_classes_is_refused(tmp_path):
    from toolkit.data.images import image_folder

    with pytest.raises(DataError, match=r"has no class folders; images must lie as in .*cat/1.png"):
        image_folder(tmp_path, size=(2, 2))


@pytest.fixture
def refused(recipe_file, tmp_path):
    """Read a stream in this process; return the error's text."""

    def read(body, *, match, **fields):
        with pytest.raises(DataError, match=match) as caught:
            ingest.read(recipe_file(body, **fields), "train", tmp_path / "cache")
        assert str(caught.value).startswith("recipe 'job', split 'train'")
        left = [*(tmp_path / "cache").glob("records/*"), *(tmp_path / "cache").glob("writing/*")]
        assert [path for path in left if path.is_dir()] == []
        return str(caught.value)

    return read


RAGGED = "return [(np.zeros(2 if i < 7 else 3), 0) for i in range(10)]"
BAD = {
    "ragged": (RAGGED, r"column 'x': sample 7 has shape \(3,\), the ones before it \(2,\); resize"),
    "a ragged sample": ("return [([[1], [2, 3]], 0)]", r"column 'x': sample 0 is no array"),
    "text": ("return [(1.0, 'cat')]", r"column 'y': sample 0 is str, not a number; encode"),
    "nothing": ("return [(1.0, 1), (None, 2)]", r"'x': sample 1 is NoneType.*fill in"),
    "dates": ("return [(np.datetime64('2020-01-01'), 1)]", r"'x': sample 0 is datetime64"),
    "NaN": (
        "return [(1.0 if i != 1500 else np.nan, 1) for i in range(2000)]",
        r"column 'x': sample 1500 holds NaN or infinity",
    ),
    "empty": ("return []", r"it has no samples"),
    "an empty sample": ("return [(np.zeros(0), 1)]", r"column 'x': a sample of shape \(0,\)"),
    "missing column": ("return [{'x': 1.0, 'target': 2}]", r"no column 'y'; there is: target, x"),
    "triples": ("return [(1.0, 2, 3)]", r"sample 0 is tuple; it must be an \(x, y\) pair"),
    "a number": ("return 3", r"its read function returned int; return a ray.data.Dataset"),
    "a dict": ("return {'x': X, 'y': Y}", r"its read function returned dict"),
    "a text": ("return 'data.csv'", r"its read function returned str"),
    "an error": ("raise OSError('no such share')", r"reading failed: OSError: no such share"),
    "an error later": (
        "return ((X[i], 1 // (5 - i)) for i in range(10))",
        r"reading failed: ZeroDivisionError",
    ),
    "another type": (
        "return [(1, i) if i < 1025 else (0.5, i) for i in range(1030)]",
        r"'x': .* holds float32, before it int64; convert",
    ),
}


@pytest.mark.parametrize(("body", "match"), BAD.values(), ids=BAD)
def test_bad_streams_are_refused_and_named(refused, body, match):
    refused(body, match=match)


def test_classes_are_checked_while_reading(refused):
    fields = {"loss": "cross_entropy", "labels": ("a", "b", "c")}
    endless = "import itertools\nreturn ((1.0, 7 if i == 5000 else 1) for i in itertools.count())"
    refused(endless, match="targets: class 7 is out of range; expected 0 to 2, one", **fields)
    refused("return [(1.0, 1.0)]", match="targets: cross_entropy needs class numbers", **fields)


def test_weights_are_checked_while_reading(refused):
    body = "return [{'x': 1.0, 'y': 2.0, 'w': -1.0 if i == 3 else 1.0} for i in range(9)]"
    refused(body, match="weights: -1 is below 0", stream="weight='w'")
    body = "return [{'x': 1.0, 'y': 2.0, 'w': [1.0, 2.0]}]"
    refused(body, match=r"weights: need one number a sample, .* not \(1, 2\)", stream="weight='w'")


def test_bad_ray_data_are_refused(ray_cluster, tmp_path, recipe_file, cache_dir):
    def refused(body, match, **given):
        source = recipe_file(body, **given)
        with pytest.raises(DataError, match=match) as caught:
            load(source.load()).read(source)
        assert "split 'train'" in str(caught.value)

    write_parquet(tmp_path / "good", name=np.array([f"n{i}" for i in range(10)]))
    ragged = [X[i, : 1 + (i == 6)] for i in range(10)]
    table = pa.table({"x": pa.array(ragged, pa.list_(pa.float32())), "y": Y})
    pa.parquet.write_table(table, tmp_path / "ragged.parquet")
    read = RAY + "read_parquet(str(HERE / {!r}))"
    refused(read.format("good"), "no column 'z'; there is: name, x, y", stream="target='z'")
    refused(read.format("ragged.parquet"), r"column 'x': sample 6 has shape \(2,\)")
    refused(read.format("nowhere"), r"reading failed: FileNotFoundError: .*nowhere")
    broken = f"{RAY}range(9).map(lambda row: {{'x': 1 // (row['id'] - 4), 'y': 1}})"
    refused(broken, "ZeroDivisionError")


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("return tf.data.Dataset.from_tensor_slices((X, Y)).repeat()", "never ends"),
        pytest.param(
            "return tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)",
            r"sample 2 has shape",
            marks=pytest.mark.soak,
        ),
        pytest.param(
            "return tf.data.Dataset.from_tensor_slices((X, list('abcabcabca')))",
            "'y': sample 0",
            marks=pytest.mark.soak,
        ),
    ],
)
def test_bad_tf_data_are_refused(ray_cluster, recipe_file, cache_dir, body, match):
    source = recipe_file(f"import tensorflow as tf\n{body}")
    with pytest.raises(DataError, match=match):
        load(source.load()).read(source)


def test_a_dying_reader_is_an_error(ray_cluster, recipe_file, cache_dir):
    source = recipe_file("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(WorkerError, match="the process that read split 'train' died"):
        load(source.load()).read(source)


def test_no_framework_reaches_the_driver_or_later_workers(ray_cluster, recipe_file, cache_dir):
    import ray

    source = recipe_file(TF)
    load(source.load()).read(source)

    @ray.remote(num_cpus=0)
    def loaded():
        import sys

        return "tensorflow" in sys.modules

    assert not any(ray.get([loaded.remote() for _ in range(8)]))
    check = "import sys, toolkit.data.load; print({'ray', 'pyarrow', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# Stream.files
KEPT = "Stream(read, files=HERE / 'parquet')"
COUNTED = """
import pyarrow.parquet
with (HERE / "reads").open("a") as file:
    file.write("x")
return pyarrow.parquet.read_table(HERE / "parquet").to_pylist()
"""


def reads(tmp_path) -> int:
    path = tmp_path / "reads"
    return path.stat().st_size if path.exists() else 0


def test_a_stream_with_known_files_is_read_again_only_when_they_change(tmp_path, recipe_file):
    def read(body):
        return ingest.read(recipe_file(body, train=KEPT), "train", tmp_path / "cache")

    write_parquet(tmp_path / "parquet")
    first = read(COUNTED)
    assert read(COUNTED) == first
    assert reads(tmp_path) == 1
    shutil.rmtree(tmp_path / "parquet")
    write_parquet(tmp_path / "parquet", 2 * X)
    second = read(COUNTED)
    assert reads(tmp_path) == 2
    assert Records(second)["x"].tolist() == (2 * X).tolist()
    assert Records(first)["x"].tolist() == X.tolist()
    assert read(COUNTED + "# changed") == second
    assert reads(tmp_path) == 3


def truncate(folder):
    os.truncate(folder / "0.bin", 5)


def flip(folder):
    content = bytearray((folder / "0.bin").read_bytes())
    content[3] ^= 255
    (folder / "0.bin").write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip, lambda f: (f / "meta.json").unlink()])
def test_damaged_records_are_made_anew(tmp_path, recipe_file, damage):
    write_parquet(tmp_path / "parquet")
    source = recipe_file(COUNTED, train=KEPT)
    folder = ingest.read(source, "train", tmp_path / "cache")
    damage(folder)
    assert ingest.read(source, "train", tmp_path / "cache") == folder
    assert Records(folder)["x"].tolist() == X.tolist()
    assert reads(tmp_path) == 2


def test_files_that_are_not_there_are_refused(refused):
    match = r"'files' names .*parquet'.*cannot be read"
    refused("return []", train=KEPT, match=match)


def test_without_known_files_a_stream_is_read_each_time(tmp_path, recipe_file):
    source = recipe_file("(HERE / 'reads').open('a').write('x')\nreturn list(zip(X, Y))")
    folders = {ingest.read(source, "train", tmp_path / "cache") for _ in range(2)}
    assert reads(tmp_path) == 2
    assert len(folders) == 1, "the same content lies in the same folder"


def test_too_little_space_is_told_at_the_beginning(tmp_path, recipe_file, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
    source = recipe_file("return list(zip(X, Y))")
    with pytest.raises(StorageError, match=r"in .*cache, which needs 160 bytes: .*too little"):
        ingest.read(source, "train", tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_a_storage_error(tmp_path, recipe_file):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file.*TOOLKIT_CACHE_DIR"):
        ingest.read(recipe_file("return [(1.0, 2.0)]"), "train", tmp_path / "file")


WRITER = """
import sys
from pathlib import Path
from toolkit import source
from toolkit.data import ingest
print(ingest.read(source.find(sys.argv[1]), "train", Path(sys.argv[2])))
"""


def test_two_processes_at_once_make_the_same_records(tmp_path, recipe_file):
    body = "import time\nreturn ((time.sleep(0.01), (X[i % 10], i))[1] for i in range(100))"
    source, root = recipe_file(body), tmp_path / "cache"
    command = [sys.executable, "-c", WRITER, source.origin, str(root)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = {process.communicate(timeout=120)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(told) == 1
    assert Records(Path(told.pop()))["y"].tolist() == list(range(100))
    assert list((root / "writing").iterdir()) == []


def test_what_a_killed_process_left_is_deleted_by_the_next(tmp_path, recipe_file):
    root = tmp_path / "cache"
    source = recipe_file("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    command = [sys.executable, "-c", WRITER, source.origin, str(root)]
    assert subprocess.run(command, check=False).returncode == -9
    assert len(list((root / "writing").iterdir())) == 2
    ingest.read(recipe_file("return [(1.0, 2.0)]"), "train", root)
    assert list((root / "writing").iterdir()) == []


def test_records_are_copied_to_a_machine_that_lacks_them(
    ray_cluster, tmp_path, recipe_file, cache_dir
):
    body = "return [(np.full(70_000, i, np.float32), i) for i in range(64)]"
    place = ingest.materialise(recipe_file(body), "train")
    ticks = []
    copies.prepare([place], lambda: ticks.append(1))
    assert ticks == [], "there is nothing to copy"
    other = cache.store(
        tmp_path / "elsewhere", lambda folder: copies.fetch(place, lambda: ticks.append(1), folder)
    )
    assert len(ticks) >= 4
    assert other.name == place.folder.name
    copied, original = Records(other), Records(place.folder)
    assert (copied["x"] == original["x"]).all()
    assert copied.meta == original.meta
    for file in ("0.bin", "1.bin"):
        assert (other / file).stat().st_mtime_ns == (place.folder / file).stat().st_mtime_ns


def test_a_streamed_dataset_travels_as_paths(ray_cluster, recipe_file, cache_dir):
    body = "return ((np.full(1000, i, np.float32), float(i)) for i in range(500))"
    source = recipe_file(body, validation="Stream(read)")
    dataset = load(source.load()).read(source)
    content = pickle.dumps(dataset)
    assert len(content) < 5000
    again = pickle.loads(content)
    assert again.train.take(np.array([499])).targets.tolist() == [[499.0]]
    assert again.raw["input"][np.array([3, 498])][:, 7].tolist() == [3.0, 498.0]
    assert isinstance(again.raw["input"], np.memmap)
