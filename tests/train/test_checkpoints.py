"""Checkpoints are read bit for bit, and no interruption or damage loses a good one."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from toolkit.errors import DataError, NotFoundError, RecipeError, StorageError, UsageError
from toolkit.train import checkpoint_files
from toolkit.train.checkpoint_files import decode, encode, encode_index
from toolkit.train.checkpoints import Checkpoints, Entry, Identity, kept
from toolkit.train.state import State
from toolkit.train.storage import Storage

ROOT = Path(__file__).parents[2]
IDENTITY = Identity(recipe="r" * 64, framework="tf", data="d" * 64)
DTYPES = [
    *("float16", "float32", "float64", "complex64", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
]


class Memory(Storage):
    """Storage in a dictionary, which fails from a given change on."""

    def __init__(self):
        self.location = "memory"
        self.files: dict[str, bytes] = {}
        self.changes_left = 10**9

    def write(self, name, content):
        self._change()
        self.files[name] = content

    def read(self, name):
        if name not in self.files:
            raise NotFoundError(name)
        return self.files[name]

    def delete(self, name):
        self._change()
        self.files.pop(name, None)

    def names(self):
        return sorted(self.files)

    def _change(self):
        if self.changes_left == 0:
            raise StorageError("gone")
        self.changes_left -= 1


def state(step, value=None):
    weights = np.full(3, step if value is None else value, np.float32)
    return State(step, {"model.w": weights}, {"rows": [{"epoch": 1}]})


def saved(storage, *steps, keep=3, **options):
    checkpoints = Checkpoints(storage, IDENTITY, keep, **options)
    for step in steps:
        checkpoints.save(state(step), {})
    return checkpoints


def flip(storage, name):
    """Change one bit in the middle of a file."""
    content = bytearray(storage.read(name))
    content[-2] ^= 1
    storage.write(name, bytes(content))


def same(a, b):
    assert a.step == b.step
    assert a.facts == b.facts
    assert a.arrays.keys() == b.arrays.keys()
    for name, array in a.arrays.items():
        other = b.arrays[name]
        assert (array.dtype, array.shape) == (other.dtype, other.shape)
        assert array.tobytes() == other.tobytes()


@pytest.fixture
def storage(tmp_path):
    return Storage.at(str(tmp_path / "checkpoints"))


any_array = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, min_side=0))
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    st.integers(0, 10**12),
    st.dictionaries(st.text(st.characters(codec="utf-8")), any_array, max_size=4),
    st.dictionaries(st.text(st.characters(codec="utf-8")), any_json, max_size=3),
)
def test_a_state_is_read_as_it_was_saved_bit_for_bit(step, arrays, facts):
    given_state = State(step, {f"model.{name}": array for name, array in arrays.items()}, facts)
    storage = Memory()
    Checkpoints(storage, IDENTITY).save(given_state, {})
    found, notes = Checkpoints(storage, IDENTITY).newest()
    assert notes == []
    same(found, given_state)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.arange(10)[::-2],
        np.array([1.5, -2, np.nan, np.inf], ml_dtypes.bfloat16),
        np.array(2.5, ml_dtypes.bfloat16),
        np.array([np.nan, -0.0, np.inf], np.float64),
        np.float32(7),
    ],
)
def test_views_scalars_and_bfloat16_are_saved_as_what_they_hold(array):
    content = encode(State(1, {"model.w": array}), IDENTITY, "", None)
    read = decode(content)[1]["model.w"]
    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    assert read.tobytes() == array.tobytes()
    read[...] = 0  # what is read may be trained on


def test_another_byte_order_is_saved_by_value():
    content = encode(State(1, {"model.w": np.array([1, 2], ">i4")}), IDENTITY, "", None)
    np.testing.assert_array_equal(decode(content)[1]["model.w"], [1, 2])


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([object()]), np.zeros(2, complex)])
def test_an_array_that_cannot_be_saved_is_named(storage, array):
    with pytest.raises(RecipeError, match=r"'optimizer\.x' is of dtype .* cannot hold"):
        Checkpoints(storage, IDENTITY).save(State(1, {"optimizer.x": array}), {})
    assert storage.names() == []


def test_facts_may_hold_nan_and_numpys_numbers_but_no_objects(storage):
    facts = {"a": [float("nan"), float("inf"), -float("inf")], "b": np.float32(0.5)}
    Checkpoints(storage, IDENTITY).save(State(1, {}, facts | {"c": np.int64(3)}), {})
    found, _ = Checkpoints(storage, IDENTITY).newest()
    assert np.isnan(found.facts["a"][0])
    assert found.facts["a"][1:] == [float("inf"), -float("inf")]
    assert (found.facts["b"], found.facts["c"]) == (0.5, 3)
    with pytest.raises(RecipeError, match="JSON has no object"):
        Checkpoints(storage, IDENTITY).save(State(2, {}, {"a": object()}), {})


def test_other_tools_can_read_a_checkpoint_and_the_list(storage, tmp_path):
    """The files are plain safetensors and JSON."""
    from safetensors import safe_open

    entry = Checkpoints(storage, IDENTITY, best="val_loss").save(
        state(120), {"step": 120, "val_loss": 0.25}
    )
    folder = tmp_path / "checkpoints"
    assert storage.names() == ["index.json", "step-000000120.safetensors"]
    with safe_open(folder / "step-000000120.safetensors", framework="np") as file:
        assert file.keys() == ["model.w"]
        header = json.loads(file.metadata()["checkpoint"])
    assert header["format"] == 1
    assert header["step"] == 120
    assert header["identity"] == {"recipe": "r" * 64, "framework": "tf", "data": "d" * 64}
    index = json.loads((folder / "index.json").read_text())
    content = (folder / entry.name).read_bytes()
    assert index["entries"] == [
        {
            "name": "step-000000120.safetensors",
            "step": 120,
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "created": entry.created,
            "metric": 0.25,
        }
    ]


def test_a_checkpoint_of_the_first_release_is_still_read(tmp_path):
    """Pins format 1: a file made of its description alone."""
    text = json.dumps(
        {
            "format": 1,
            "identity": {"recipe": "r" * 64, "framework": "tf", "data": "d" * 64},
            "created": "2026-01-02T03:04:05.678+00:00",
            "metric": None,
            "step": 7,
            "facts": {"rows": []},
        }
    )
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    seal = hashlib.sha256(f"{text}[('model.w', 'float32', (2,))]".encode()).hexdigest()
    texts = {"checkpoint": text, "sha256": seal}
    header = json.dumps({"__metadata__": texts, "model.w": tensor}).encode()
    values = np.array([1, 2], "<f4").tobytes()
    path = tmp_path / "step-000000007.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + values)
    found, notes = Checkpoints(Storage.at(str(tmp_path)), IDENTITY).newest()
    same(found, State(7, {"model.w": np.array([1, 2], np.float32)}, {"rows": []}))
    assert len(notes) == 1


def test_nothing_saved_is_nothing_found(storage):
    checkpoints = Checkpoints(storage, IDENTITY)
    assert checkpoints.newest() == (None, [])
    assert checkpoints.entries == []


def test_the_last_n_are_kept_and_the_files_of_others_deleted(storage):
    checkpoints = saved(storage, 10, 20, 30, 40, keep=2)
    assert [entry.step for entry in checkpoints.entries] == [30, 40]
    assert storage.names() == [
        "index.json",
        "step-000000030.safetensors",
        "step-000000040.safetensors",
    ]
    again = Checkpoints(storage, IDENTITY, keep=2)
    assert again.entries == checkpoints.entries
    same(again.newest()[0], state(40))


@pytest.mark.parametrize(("best", "kept_step"), [("val_loss", 20), ("val_accuracy", 30)])
def test_the_best_is_kept_too(storage, best, kept_step):
    checkpoints = Checkpoints(storage, IDENTITY, keep=1, best=best)
    for step, value in [(10, 0.5), (20, 0.1), (30, 0.9), (40, float("nan")), (50, 0.4)]:
        checkpoints.save(state(step), {"step": step, best: value})
    checkpoints.save(state(55), {"step": 50, best: 99 if best == "val_accuracy" else -99})
    checkpoints.save(state(60), {})
    assert [entry.step for entry in checkpoints.entries] == [kept_step, 60]
    same(checkpoints.newest()[0], state(60))


def test_fewer_than_one_cannot_be_kept(storage):
    with pytest.raises(UsageError, match="keep 1 or more"):
        Checkpoints(storage, IDENTITY, keep=0)


some_entries = st.lists(st.none() | st.integers(-3, 3)).map(
    lambda metrics: [Entry("", step, "", 0, "", metric) for step, metric in enumerate(metrics)]
)


@given(some_entries, st.integers(1, 5), st.sampled_from([None, "val_loss", "val_accuracy"]))
def test_policy(entries, keep, best):
    stay = kept(entries, keep, best)
    assert stay == sorted(stay, key=lambda entry: entry.step)
    assert stay[-keep:] == entries[-keep:]
    assert len(stay) <= keep + (best is not None)
    assert kept(stay, keep, best) == stay
    measured = [entry for entry in entries if entry.metric is not None]
    if best and measured:
        choose = max if best == "val_accuracy" else min
        assert choose(measured, key=lambda entry: entry.metric) in stay  # the first of equals


@given(some_entries, st.integers(1, 5), st.sampled_from([None, "val_loss", "val_accuracy"]))
def test_a_policy_that_is_applied_after_each_save_keeps_the_same(entries, keep, best):
    stay = []
    for entry in entries:
        stay = kept([*stay, entry], keep, best)
    assert stay == kept(entries, keep, best)


def test_going_back_replaces_what_came_after(storage):
    checkpoints = saved(storage, 10, 20, 30)
    checkpoints.save(state(15), {})
    assert [entry.step for entry in checkpoints.entries] == [10, 15]
    assert storage.names() == [
        "index.json",
        "step-000000010.safetensors",
        "step-000000015.safetensors",
    ]
    same(Checkpoints(storage, IDENTITY).newest()[0], state(15))


def test_the_same_step_may_be_saved_again_and_again(storage):
    checkpoints = saved(storage, 10, 20)
    for value in (1, 2, 3):
        checkpoints.save(state(20, value), {})
        same(Checkpoints(storage, IDENTITY).newest()[0], state(20, value))
        assert len(storage.names()) == 3


def test_a_damaged_newest_falls_back_and_says_so(storage):
    saved(storage, 40, 80, 120)
    flip(storage, "step-000000120.safetensors")
    checkpoints = Checkpoints(storage, IDENTITY)
    found, notes = checkpoints.newest()
    same(found, state(80))
    assert notes == [
        "checkpoint step-000000120 is damaged (its SHA-256 differs); going back to step-000000080"
    ]
    assert checkpoints.newest()[1] == []
    assert "step-000000120.safetensors" in storage.names()
    checkpoints.save(state(100), {})
    assert "step-000000120.safetensors" not in storage.names()
    assert [entry.step for entry in Checkpoints(storage, IDENTITY).entries] == [40, 80, 100]


def test_each_kind_of_damage_is_skipped(storage):
    saved(storage, 10, 20, 30)
    storage.delete("step-000000030.safetensors")
    storage.write("step-000000020.safetensors", storage.read("step-000000020.safetensors")[:-1])
    flip(storage, "step-000000010.safetensors")
    found, notes = Checkpoints(storage, IDENTITY).newest()
    assert found is None
    assert notes == [
        "checkpoint step-000000030 is damaged (its file is missing); going back to step-000000020",
        "checkpoint step-000000020 is damaged (its SHA-256 differs); going back to step-000000010",
        "checkpoint step-000000010 is damaged (its SHA-256 differs); starting from the beginning",
    ]


def test_a_listed_file_that_is_no_checkpoint_is_skipped(storage):
    checkpoints = saved(storage, 10, 20)
    text = b"not a checkpoint"
    storage.write("step-000000020.safetensors", text)
    bad = replace(checkpoints.entries[1], sha256=hashlib.sha256(text).hexdigest())
    storage.write("index.json", encode_index([checkpoints.entries[0], bad], IDENTITY))
    found, notes = Checkpoints(storage, IDENTITY).newest()
    same(found, state(10))
    assert "step-000000020 is damaged (it is no checkpoint file: " in notes[0]


@given(st.integers(0, 10**6), st.integers(1, 255), st.booleans())
def test_no_damaged_byte_goes_unseen_or_breaks_more_than_its_file(place, change, cut):
    storage = Memory()
    saved(storage, 10, 20)
    name = "step-000000020.safetensors"
    content = bytearray(storage.files[name])
    place %= len(content)
    content[place] ^= change
    storage.files[name] = bytes(content[:place] if cut else content)
    found, notes = Checkpoints(storage, IDENTITY).newest()
    same(found, state(10))
    assert len(notes) == 1
    del storage.files["index.json"]  # and where only the file itself can tell
    found, _ = Checkpoints(storage, IDENTITY).newest()
    assert found.step == 10 or place >= len(content) - 12  # the three numbers in 'model.w'


@pytest.mark.parametrize(
    "index",
    [
        None, b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"format": 1}', b'{"format": "1"}',
        b'{"format": 1, "identity": {}, "entries": []}',
        b'{"format": 1, "identity": {}, "entries": [{"name": 1}]}',
    ],
)  # fmt: skip
def test_a_lost_or_damaged_list_is_made_anew_from_the_files(storage, index):
    before = saved(storage, 10, 20, 30)
    flip_header = b"x" * 8 + storage.read("step-000000020.safetensors")[8:]
    storage.write("step-000000020.safetensors", flip_header)
    if index is None:
        storage.delete("index.json")
    else:
        storage.write("index.json", index)
    checkpoints = Checkpoints(storage, IDENTITY)
    assert checkpoints.entries == [before.entries[0], before.entries[2]]
    found, notes = checkpoints.newest()
    same(found, state(30))
    why = "missing" if index is None else "damaged"
    text = f"the list of checkpoints at {storage.location} is {why}; "
    assert notes == [text + "2 of 3 files are good and were listed again"]
    checkpoints.save(state(40), {})
    assert Checkpoints(storage, IDENTITY).newest()[1] == []


def test_a_list_cannot_name_files_elsewhere(storage, tmp_path):
    """Or a save would delete them."""
    entry = replace(saved(storage, 10).entries[0], name="../other")
    storage.write("index.json", encode_index([entry], IDENTITY))
    assert [e.name for e in Checkpoints(storage, IDENTITY).entries] == [
        "step-000000010.safetensors"
    ]


def test_unlisted_files_are_ignored_and_cleaned_up_and_others_left_alone(storage):
    checkpoints = saved(storage, 10)
    left = ["step-000000099.safetensors", ".step-000000099.safetensors.0a1b2c3d.tmp"]
    for name in [*left, ".index.json.0a1b2c3d.tmp", "notes.txt", "step-5.safetensors"]:
        storage.write(name, b"x")
    same(Checkpoints(storage, IDENTITY).newest()[0], state(10))
    checkpoints.save(state(20), {})
    assert storage.names() == [
        "index.json", "notes.txt", "step-000000010.safetensors", "step-000000020.safetensors",
        "step-5.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"recipe": "x"}, UsageError, "the recipe changed since .* or restore the recipe"),
        ({"data": "x"}, DataError, "the data changed since .* train anew, or restore the data"),
        ({"data": "x", "recipe": "x"}, DataError, "the recipe and the data changed"),
        ({"framework": "torch"}, UsageError, "are of framework 'tf', not of 'torch'; use another"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("listed", [True, False])
def test_checkpoints_of_something_else_are_refused_and_kept(storage, change, kind, message, listed):
    saved(storage, 10, 20)
    if not listed:
        storage.delete("index.json")
    before = {name: storage.read(name) for name in storage.names()}
    other = Checkpoints(storage, replace(IDENTITY, **change))
    for action in (other.newest, lambda: other.save(state(30), {})):
        with pytest.raises(kind, match=message):
            action()
    assert {name: storage.read(name) for name in storage.names()} == before


@pytest.mark.parametrize("listed", [True, False])
def test_checkpoints_of_a_newer_toolkit_are_refused_and_kept(storage, monkeypatch, listed):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_files, "FORMAT", 2)
        saved(storage, 10)
    if not listed:
        storage.delete("index.json")
    before = storage.names()
    checkpoints = Checkpoints(storage, IDENTITY)
    for action in (checkpoints.newest, lambda: checkpoints.save(state(30), {})):
        with pytest.raises(UsageError, match=r"written by a newer toolkit \(format 2"):
            action()
    assert storage.names() == before


@given(
    st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=6),
    st.integers(0, 20),
    st.integers(1, 3),
)
def test_whatever_change_fails_the_last_saved_state_or_the_next_is_found(saves, changes, keep):
    """Storage goes away before any one change of a sequence of saves and roll-backs."""
    storage = Memory()
    storage.changes_left = changes
    checkpoints = Checkpoints(storage, IDENTITY, keep)
    done = attempted = None
    try:
        for number, (step, reopened) in enumerate(saves):
            if reopened:
                checkpoints = Checkpoints(storage, IDENTITY, keep)
            attempted = state(step, number)
            checkpoints.save(attempted, {})
            done = attempted
    except StorageError:
        held, _ = checkpoints.newest()  # in the process that goes on
        assert (
            held is None if done is None else held.arrays["model.w"][0] == done.arrays["model.w"][0]
        )
    storage.changes_left = 10**9
    again = Checkpoints(storage, IDENTITY, keep)
    found, damaged = again.newest()
    assert damaged == [] or done is None  # a first file without a list is listed again
    wanted = [each.arrays["model.w"][0] for each in (done, attempted) if each is not None]
    assert found is None if done is None and found is None else found.arrays["model.w"][0] in wanted
    again.save(state(9), {})
    assert storage.names() == sorted([entry.name for entry in again.entries] + ["index.json"])


FULL = """
import os, subprocess, sys
import numpy as np
from toolkit.errors import StorageError
from toolkit.train.checkpoints import Checkpoints, Identity
from toolkit.train.state import State
from toolkit.train.storage import Storage

place, identity = sys.argv[1], Identity("r", "tf", "d")
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", place], check=True)
checkpoints = Checkpoints(Storage.at(place), identity, keep=5)

def save(step, size=100_000):
    try:
        checkpoints.save(State(step, {"model.w": np.full(size, step, np.uint8)}), {})
    except StorageError as error:
        print(error)
    again = Checkpoints(Storage.at(place), identity)
    found, notes = again.newest()
    left = [name for name in os.listdir(place) if name.endswith("tmp")]
    print(step, found.step, int(found.arrays["model.w"].min()), notes, left)

for step in (1, 2, 3, 4):
    save(step)
save(5, 1000)
subprocess.run(["mount", "-o", "remount,ro", place], check=True)
save(6, 1000)
"""


def test_a_disk_that_is_full_or_becomes_read_only_leaves_the_last_good_checkpoint(tmp_path):
    alone = ["unshare", "--map-root-user", "--mount"]
    try:
        possible = subprocess.run([*alone, "mount", "-t", "tmpfs", "tmpfs", tmp_path], check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if possible.returncode:
        pytest.skip("a file system may not be mounted here")
    command = [*alone, sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    file = f"cannot write {tmp_path}/step-00000000"
    advice = "free some space or choose another place with --runs-dir or --checkpoint-dir"
    assert done.stdout.splitlines() == [
        "1 1 1 [] []",
        "2 2 2 [] []",
        "3 3 3 [] []",
        f"{file}4.safetensors: No space left on device; {advice}",
        "4 3 3 [] []",
        "5 5 5 [] []",
        f"{file}6.safetensors: Read-only file system; {advice}",
        "6 5 5 [] []",
    ]


def test_storage_that_cannot_be_read_is_no_damage(storage, tmp_path):
    checkpoints = saved(storage, 10, 20)
    path = tmp_path / "checkpoints" / "step-000000020.safetensors"
    path.unlink()
    path.mkdir()  # a read fails, and not because nothing is there
    with pytest.raises(StorageError, match="cannot read"):
        checkpoints.newest()
    assert [entry.step for entry in checkpoints.entries] == [10, 20]
