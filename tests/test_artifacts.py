"""Golden vectors and the run directory."""

import io
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from toolkit import runs
from toolkit.artifacts import Export, Golden
from toolkit.errors import NotFoundError, StorageError, UsageError
from toolkit.runs import Run
from toolkit.source import RecipeSource

SOURCE = RecipeSource("recipe = 1\n", "/somewhere/job.py", {"epochs": 3})

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
dtypes = st.sampled_from([np.float32, np.float16, np.int64, np.uint8, np.bool_])
arrays = dtypes.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=4, max_side=4)))
by_name = st.dictionaries(names, arrays, min_size=1, max_size=3)


def new(root, name="job", **facts):
    return Run.create(root, name, SOURCE, facts)


def export(name, **fields):
    defaults = {"framework": "tf", "target": "onnx", "precision": "fp32", "batch": None}
    numbers = {"bytes": 3, "sha256": "0", "seconds": 0.5}
    return Export(**{"file": f"exports/{name}", **defaults, **numbers, **fields})


def same(one, other):
    assert list(one) == list(other)  # order, too: torch takes inputs by position
    for name, array in one.items():
        assert other[name].dtype == array.dtype
        np.testing.assert_array_equal(other[name], array)


@given(by_name, by_name, arrays)
def test_golden_vectors_survive_the_round_trip(inputs, outputs, targets):
    back = Golden.from_bytes(Golden(inputs, outputs, targets).to_bytes())
    same(inputs, back.inputs)
    same(outputs, back.outputs)
    same({"": targets}, {"": back.targets})


@pytest.mark.parametrize("name", ["targets", "file", "a.b", "input.x", "a b", "é"])
def test_no_input_name_is_lost(name):
    array = np.ones((2, 1), np.float32)
    back = Golden.from_bytes(Golden({name: array}, {name: 2 * array}, array).to_bytes())
    same({name: array}, back.inputs)
    same({name: 2 * array}, back.outputs)


def npz(**content):
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    return buffer.getvalue()


WHOLE = Golden({"x": np.ones((9, 3))}, {"y": np.ones((9, 1))}, np.ones(9)).to_bytes()
DAMAGED = {
    "empty": b"",
    "text": b"not an archive",
    "cut": WHOLE[: len(WHOLE) // 2],
    "a bit": WHOLE[:80] + bytes([WHOLE[80] ^ 255]) + WHOLE[81:],
    "objects": npz(**{"targets": np.ones(1), "input.x": np.array([{}], object)}),
    "no targets": npz(**{"input.x": np.ones(1), "output.y": np.ones(1)}),
    "other group": npz(**{"targets": np.ones(1), "weights.x": np.ones(1)}),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_golden_vectors_are_refused(tmp_path, content):
    run = new(tmp_path)
    run.write("tf/golden.npz", content)
    with pytest.raises(UsageError, match=rf"{run.name}/tf/golden\.npz is damaged"):
        run.golden("tf")


def test_golden_vectors_run_no_pickle(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    content = npz(**{"targets": np.ones(1), "input.x": np.array([Trap()], object)})
    with pytest.raises(ValueError, match="pickle"):
        Golden.from_bytes(content)
    assert not (tmp_path / "ran").exists()


def test_a_new_run_is_described(tmp_path):
    run = new(tmp_path / "runs", seed=7)
    assert run.facts["status"] == "training"
    assert run.facts["seed"] == 7
    assert run.facts["recipe"] == {
        "name": "job",
        "origin": SOURCE.origin,
        "overrides": {"epochs": 3},
        "sha256": SOURCE.sha256,
    }
    assert run.name.startswith("job-")
    assert (run.frameworks, run.exports, run.verification) == ((), [], None)
    assert run.source == SOURCE
    assert run.log("export").parent.is_dir()


def test_a_reader_never_sees_half_a_description(tmp_path, monkeypatch):
    """`toolkit runs` in another terminal, or a kill, between two writes."""
    seen, write = [], runs.write_json
    monkeypatch.setattr(runs, "write_json", lambda *args: seen.append(args) or write(*args))
    new(tmp_path)
    assert seen
    for _, facts in seen:
        assert {"status", "created", "recipe", "exports"} <= set(facts)


def test_two_runs_at_once_are_two_directories(tmp_path):
    assert len({new(tmp_path).path for _ in range(5)}) == 5


def test_a_root_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        new(tmp_path / "file")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", b"\xff"])
def test_a_damaged_description_is_refused(tmp_path, text):
    run = new(tmp_path)
    content = text if isinstance(text, bytes) else text.encode()
    (run.path / "run.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"not a usable run directory|run\.json is damaged"):
        run.facts  # noqa: B018


def test_updates_replace_entries_and_keep_the_rest(tmp_path):
    run = new(tmp_path, seed=7)
    run.update(status="failed", error="x")
    assert (run.facts["status"], run.facts["seed"], run.facts["error"]) == ("failed", 7, "x")
    run.record_framework("torch", {"steps": 1})
    run.record_framework("tf", {"steps": 2, "loss": float("nan")})
    run.record_framework("torch", {"steps": 3})
    assert run.facts["frameworks"] == {"torch": {"steps": 3}, "tf": {"steps": 2, "loss": None}}
    assert run.frameworks == ("tf", "torch")  # whichever ended first


def test_updates_from_threads_lose_nothing(tmp_path):
    run, count = new(tmp_path), 8
    barrier = threading.Barrier(count)

    def work(index):
        barrier.wait()
        run.record_framework(f"f{index}", {"steps": index})
        run.add_exports([export(f"{index}.onnx")])
        run.append_rows("metrics", f"f{index}", [{"epoch": epoch} for epoch in range(50)])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.frameworks) == [f"f{index}" for index in range(count)]
    assert len(run.exports) == count
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == count * 50


def test_metrics_are_json_even_where_they_are_not_numbers(tmp_path):
    run = new(tmp_path)
    run.append_rows(
        "metrics", "tf", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": float("nan")}]
    )
    text = (run.path / "metrics.jsonl").read_text()
    assert json.loads(text.splitlines()[0]) == {
        "framework": "tf",
        "epoch": 1,
        "loss": 0.5,
    }
    assert "NaN" not in text


def test_a_newer_export_replaces_the_older(tmp_path):
    run = new(tmp_path)
    run.add_exports([export("a.onnx"), export("b.onnx")])
    run.add_exports([export("a.onnx", bytes=9, note="new"), export("c.tflite", batch=1)])
    assert run.exports == [
        export("a.onnx", bytes=9, note="new"),
        export("b.onnx"),
        export("c.tflite", batch=1),
    ]


@pytest.mark.parametrize("change", ["text", "missing", "no text"])
def test_a_recipe_that_changed_after_training_is_refused(tmp_path, change):
    run = new(tmp_path)
    file = run.path / "recipe.py"
    if change == "missing":
        file.unlink()
    else:
        file.write_bytes(b"recipe = 2\n" if change == "text" else b"\xff\xfe")
    with pytest.raises(UsageError, match=r"recipe\.py"):
        run.source  # noqa: B018


def test_a_damaged_verification_is_reported(tmp_path):
    run = new(tmp_path)
    (run.path / "verification.json").write_text("{")
    with pytest.raises(UsageError, match=r"verification\.json"):
        run.verification  # noqa: B018


def test_files_are_written_below_the_run(tmp_path):
    run = new(tmp_path)
    assert run.write("a/b/c.bin", b"abc") == run.path / "a" / "b" / "c.bin"
    assert run.read("a/b/c.bin") == b"abc"
    with pytest.raises(NotFoundError, match=rf"run {run.name} lacks a/none: No such file"):
        run.read("a/none")


def test_rows_can_be_taken_back(tmp_path):
    run = new(tmp_path)
    for framework in ("tf", "torch"):
        run.append_rows("metrics", framework, [{"epoch": n, "step": 5 * n} for n in (1, 2, 3)])
    run.rewind_rows("metrics", "tf", 9)
    kept = [(row["framework"], row["epoch"]) for row in run.rows("metrics")]
    assert kept == [("tf", 1), ("torch", 1), ("torch", 2), ("torch", 3)]
    run.rewind_rows("ledger", "tf", 0)
    assert run.rows("ledger") == []


def test_a_row_that_was_cut_off_is_left_out(tmp_path):
    run = new(tmp_path)
    run.append_rows("metrics", "tf", [{"epoch": 1, "step": 5}])
    path = run.path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"framework": "tf", "epo')
    assert [row["epoch"] for row in run.rows("metrics")] == [1]


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path):
    run = new(tmp_path)
    another = pytest.raises(UsageError, match="being trained by another process")
    with run.locked(), another, run.locked():
        pass
    with run.locked():
        pass


def test_the_latest_unfinished_run(tmp_path):
    from toolkit.runs_folder import find_run

    with pytest.raises(NotFoundError, match="no run"):
        find_run(tmp_path, None, unfinished=True)
    done, stopped = new(tmp_path, "done"), new(tmp_path, "stopped")
    done.update(status="trained")
    stopped.update(status="stopped")
    new(tmp_path, "later").update(status="trained")
    assert find_run(tmp_path, None, unfinished=True).name == stopped.name
