"""toolkit clean: what it shows, what it deletes, and what it never touches."""

import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from tests.conftest import run_toolkit
from toolkit import cleaning
from toolkit.cleaning import Wanted
from toolkit.errors import StorageError

DAY = 86_400


def make_run(root: Path, name: str, status: str = "trained", days: float = 0) -> Path:
    """A run directory whose files are so old."""
    run = root / name
    (run / "checkpoints" / "tf").mkdir(parents=True)
    (run / "checkpoints" / "tf" / "step").write_bytes(b"x" * 1000)
    (run / ".lock").write_text("")
    created = f"2026-01-{10 + len(list(root.iterdir())):02}T00:00:00"
    facts = {"status": status, "created": created, "exports": []}
    (run / "run.json").write_text(json.dumps(facts))
    age(run, days)
    return run


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    for each in [*path.rglob("*"), path]:
        os.utime(each, (then, then), follow_symlinks=False)


def names(root: Path, wanted: Wanted) -> list[str]:
    return [item.path.name for item in cleaning.find(root, wanted).items]


def test_runs_go_that_meet_all_conditions(tmp_path):
    make_run(tmp_path, "a", "failed", days=40)
    make_run(tmp_path, "b", "trained", days=40)
    make_run(tmp_path, "c", "failed")
    make_run(tmp_path, "d", "training", days=2)
    make_run(tmp_path, "e", "training")
    make_run(tmp_path, "f", "stopped", days=40)
    assert names(tmp_path, Wanted()) == []
    assert names(tmp_path, Wanted(keep=4)) == ["a", "b"]
    assert names(tmp_path, Wanted(keep=0)) == ["a", "b", "c", "d", "e", "f"]
    assert names(tmp_path, Wanted(older_than=30)) == ["a", "b", "f"]
    assert names(tmp_path, Wanted(failed=True)) == ["a", "c", "d"]  # 'e' may be starting just now
    assert names(tmp_path, Wanted(failed=True, older_than=30, keep=1)) == ["a"]


def test_only_checkpoints_of_finished_runs_go(tmp_path):
    make_run(tmp_path, "a")
    make_run(tmp_path, "b", "stopped")
    found = cleaning.find(tmp_path, Wanted(checkpoints=True))
    assert [(item.kind, item.bytes) for item in found.items] == [("checkpoints", 1000)]
    assert list(cleaning.delete(found.items)) == list(found.items)
    assert (tmp_path / "a" / "run.json").is_file()
    assert not (tmp_path / "a" / "checkpoints").exists()
    assert (tmp_path / "b" / "checkpoints" / "tf" / "step").is_file()


def test_a_run_that_is_being_trained_stays(tmp_path):
    run = make_run(tmp_path, "a", "failed", days=90)
    unlocked = cleaning.find(tmp_path, Wanted(failed=True))
    with (run / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = cleaning.find(tmp_path, Wanted(keep=0))
        assert found.items == ()
        assert found.training == ("a",)
        assert list(cleaning.delete(unlocked.items)) == []  # locked since it was looked at
        assert (run / "run.json").is_file()
    assert [item.path for item in cleaning.delete(unlocked.items)] == [run]
    assert not list(tmp_path.iterdir())


def test_what_is_no_run_is_never_touched(tmp_path):
    elsewhere = make_run(tmp_path / "elsewhere", "precious", days=90)
    root = tmp_path / "runs"
    make_run(root, "a", days=90)
    (root / "link").symlink_to(elsewhere)
    (root / "a" / "checkpoints" / "out").symlink_to(elsewhere)
    (root / "notes").mkdir()
    (root / "notes" / "n.txt").write_text("mine")
    (root / "damaged").mkdir()
    (root / "damaged" / "run.json").write_text("{")
    found = cleaning.find(root, Wanted(keep=0))
    assert [item.path.name for item in found.items] == ["a"]
    assert len(list(cleaning.delete(found.items))) == 1
    assert (elsewhere / "checkpoints" / "tf" / "step").is_file()
    assert sorted(path.name for path in root.iterdir()) == ["damaged", "link", "notes"]


def test_leftovers_older_than_a_day_go(tmp_path):
    run = make_run(tmp_path, "a")
    for name, days in ((".run.json.0123abcd.tmp", 2), (".x.0123abcd.tmp", 0), (".mine", 9)):
        (run / name).write_text("half")
        age(run / name, days)
    folder = run / "exports" / ".model.89abcdef"
    folder.mkdir(parents=True)
    (folder / "variables").write_bytes(b"x" * 50)
    age(folder, 3)
    (tmp_path / ".b.deleted").mkdir()
    age(tmp_path / ".b.deleted", 3)
    found = cleaning.find(tmp_path, Wanted())
    assert {item.kind for item in found.items} == {"leftover"}
    gone = {item.path.name for item in cleaning.delete(found.items)}
    assert gone == {".run.json.0123abcd.tmp", ".model.89abcdef", ".b.deleted"}
    assert (run / ".x.0123abcd.tmp").is_file()
    assert (run / ".mine").is_file()


def test_what_cannot_be_deleted_is_named(tmp_path, monkeypatch):
    make_run(tmp_path, "a")
    found = cleaning.find(tmp_path, Wanted(keep=0))

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cleaning.shutil, "rmtree", refuse)
    with pytest.raises(StorageError, match=r"cannot delete .*a: Permission denied"):
        list(cleaning.delete(found.items))


def test_the_command_shows_first_and_deletes_with_yes(tmp_path):
    run = make_run(tmp_path, "old", "failed", days=90)
    make_run(tmp_path, "new")
    shown = run_toolkit("clean", "--failed", "--runs-dir", tmp_path)
    assert shown.code == 0
    assert "old" in shown.out
    assert "failed, last changed 90 days ago" in shown.out
    assert "nothing is deleted yet: add --yes" in shown.err
    assert run.is_dir()
    done = run_toolkit("clean", "--failed", "--yes", "--json", "--runs-dir", tmp_path)
    [item] = done.json["items"]
    assert (item["kind"], item["deleted"]) == ("run", True)
    assert done.json["freed"] == done.json["bytes"] > 1000
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    nothing = run_toolkit("clean", "--runs-dir", tmp_path / "none")
    assert nothing.code == 0
    assert "say which runs may go" in nothing.err
