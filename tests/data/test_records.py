"""Records give back what was written, notice damage, and do not hold memory."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from toolkit.data.records import Records
from toolkit.data.writer import RecordWriter
from toolkit.errors import DataError

DTYPES = [np.uint8, np.int16, np.int32, np.int64, np.float16, np.float32, bool]


def write(folder, *batches):
    folder.mkdir()
    writer = RecordWriter(folder)
    for batch in batches:
        writer.append(batch)
    writer.close()
    return Records(folder)


@given(
    st.sampled_from(DTYPES),
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_what_was_written_comes_back(tmp_path_factory, dtype, shape, sizes, random):
    batches = [
        {
            "x": np.array(random.choices(range(2), k=size * int(np.prod(shape))))
            .reshape(size, *shape)
            .astype(dtype),
            "y": np.arange(size, dtype=np.int64) + 10 * index,
        }
        for index, size in enumerate(sizes)
    ]
    records = write(tmp_path_factory.mktemp("records") / "r", *batches)
    assert set(records) == {"x", "y"}
    assert records.count == sum(sizes)
    for name in records:
        whole = np.concatenate([batch[name] for batch in batches])
        assert records[name].dtype == whole.dtype
        assert records[name].shape == whole.shape
        assert records[name].tolist() == whole.tolist()
        assert records.limits(name) == (whole.min(), whole.max())
        ids = np.array(random.choices(range(len(whole)), k=7))
        assert records.gather(name, ids).tolist() == whole[ids].tolist()
    records.verify()


def batch(count=100, width=3):
    return {
        "x": np.arange(count * width, dtype=np.float32).reshape(count, width),
        "y": np.arange(count),
    }


def test_columns_are_read_only_maps_that_pickle_as_a_path(tmp_path):
    records = write(tmp_path / "r", batch(50_000))
    assert isinstance(records["x"], np.memmap)
    assert not records["x"].flags.writeable
    content = pickle.dumps(records)
    assert len(content) < 1000
    assert pickle.loads(content).gather("y", np.array([49_999, 0])).tolist() == [49_999, 0]
    assert not isinstance(records.gather("x", np.array([1])), np.memmap)


@pytest.mark.parametrize("ids", [np.array([2999, 0, 17, 17]), slice(5, 900), slice(2990, 9999)])
def test_records_larger_than_memory_are_fetched_ahead_alike(tmp_path, monkeypatch, ids):
    records = write(tmp_path / "r", batch(3000, 7))
    expected = {name: records.gather(name, ids).tolist() for name in records}
    monkeypatch.setattr(os, "sysconf", lambda name: 1)
    assert records._exceeds_memory
    assert {name: records.gather(name, ids).tolist() for name in records} == expected


def test_the_hash_is_of_content_shape_and_dtype(tmp_path):
    def sha(name, *batches):
        return write(tmp_path / name, *batches).sha256

    one = batch(10)
    assert sha("a", one) == sha("b", {"y": one["y"][:3], "x": one["x"][:3]}, {
        "y": one["y"][3:], "x": one["x"][3:]})  # fmt: skip
    others = [
        {**one, "y": one["y"] + 1},
        {**one, "x": one["x"].reshape(10, 3, 1)},
        {**one, "x": one["x"].view(np.int32)},
        {"x": one["x"], "z": one["y"]},
    ]
    hashes = {sha(str(index), other) for index, other in enumerate(others)}
    assert len(hashes | {sha("c", one)}) == 5


@pytest.mark.parametrize(
    ("second", "match"),
    [
        ({"x": np.zeros((2, 4), np.float32)}, r"'x': sample 10 has shape \(4,\).*\(3,\)"),
        ({"y": np.array([0.5, 1])}, r"'y': from sample 10 on it holds float64, before it int64"),
        ({"z": np.zeros(2)}, r"sample 10 has the columns \['x', 'y', 'z'\]"),
        ({"y": np.zeros(3, np.int64)}, r"columns differ in length"),
    ],
)
def test_a_batch_unlike_the_ones_before_is_refused(tmp_path, second, match):
    with pytest.raises(DataError, match=match):
        write(tmp_path / "r", batch(10), {**batch(2), **second})


def test_numbers_that_fit_exactly_take_the_first_type(tmp_path):
    records = write(tmp_path / "r", {"y": np.array([0.5])}, {"y": np.array([3])})
    assert records["y"].tolist() == [0.5, 3.0]


def test_an_empty_sample_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"'x': a sample of shape \(0,\) holds nothing"):
        write(tmp_path / "r", {"x": np.zeros((2, 0))})


def meta_without(key):
    def damage(folder):
        meta = json.loads((folder / "meta.json").read_text())
        del meta[key]
        (folder / "meta.json").write_text(json.dumps(meta))

    return damage


def cut(folder):
    os.truncate(folder / "0.bin", 100)


def flip(folder):
    content = bytearray((folder / "0.bin").read_bytes())
    content[50] ^= 1
    (folder / "0.bin").write_bytes(content)


def shift(folder):
    text = (folder / "meta.json").read_text()
    (folder / "meta.json").write_text(text.replace('"count": 100', '"count": 99'))


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (cut, r"0.bin has 100 bytes instead of 1200"),
        (flip, r"content of column 'x' changed"),
        (lambda folder: (folder / "1.bin").unlink(), r"1.bin cannot be read"),
        (lambda folder: (folder / "meta.json").unlink(), r"meta.json is missing"),
        (lambda folder: (folder / "meta.json").write_text("{"), r"meta.json is missing, damaged"),
        (lambda folder: (folder / "meta.json").write_text("[1]"), r"meta.json"),
        (meta_without("columns"), r"meta.json"),
        (meta_without("format"), r"meta.json"),
        (shift, r"meta.json"),
    ],
)
def test_damage_is_noticed(tmp_path, damage, match):
    folder = write(tmp_path / "r", batch()).folder
    damage(folder)
    with pytest.raises(DataError, match=match) as caught:
        Records(folder).verify()
    assert str(folder) in str(caught.value)


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from toolkit.data.writer import RecordWriter
from toolkit.errors import StorageError

resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))
writer = RecordWriter(Path(sys.argv[1]))
try:
    for _ in range(20):
        writer.append({"x": np.zeros((1000, 100), np.float32)})
    writer.close()
except StorageError as error:
    print(error)
"""


def test_a_file_that_cannot_grow_is_a_storage_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert f"cannot write the records in {tmp_path}: File too large" in done.stdout
    assert "TOOLKIT_CACHE_DIR" in done.stdout
