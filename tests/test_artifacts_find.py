"""Finding runs: by name, by path, or the latest that was trained."""

import pytest

from toolkit.errors import NotFoundError
from toolkit.runs import Run
from toolkit.runs_folder import find_run, list_runs
from toolkit.source import RecipeSource


def new(root, created=None, status="trained"):
    run = Run.create(root, "job", RecipeSource("", "job.py"), {})
    run.update(status=status, **({"created": created} if created else {}))
    return run


def test_runs_are_listed_oldest_first(tmp_path):
    late, early = new(tmp_path, "2026-02-01T00:00:00+00:00"), new(tmp_path, "2026-01-01T00:00:00")
    (tmp_path / "no run").mkdir()
    (tmp_path / "file").write_text("")
    assert [run.name for run in list_runs(tmp_path)] == [early.name, late.name]
    assert list_runs(tmp_path / "none") == []


def test_the_latest_trained_run_is_the_default(tmp_path):
    new(tmp_path, "2026-01-01T00:00:00+00:00")
    wanted = new(tmp_path, "2026-01-03T00:00:00+00:00")
    new(tmp_path, "2026-01-02T00:00:00+00:00")
    new(tmp_path, "2026-01-04T00:00:00+00:00", status="failed")
    new(tmp_path, "2026-01-05T00:00:00+00:00", status="training")
    assert find_run(tmp_path, None).name == wanted.name


def test_runs_of_one_second_keep_their_order(tmp_path):
    runs = [new(tmp_path) for _ in range(8)]
    assert [run.name for run in list_runs(tmp_path)] == [run.name for run in runs]


def test_a_run_is_found_by_name_and_by_path(tmp_path, monkeypatch):
    run = new(tmp_path / "runs")
    new(tmp_path / "runs")
    for name in (run.name, str(run.path)):
        assert find_run(tmp_path / "runs", name).path == run.path
    monkeypatch.chdir(tmp_path)
    assert find_run(tmp_path / "elsewhere", f"runs/{run.name}/").facts == run.facts


def test_an_unknown_run_is_answered_with_the_nearest(tmp_path):
    run = new(tmp_path)
    with pytest.raises(NotFoundError, match=f"no run .* did you mean '{run.name}'"):
        find_run(tmp_path, run.name[:-1])


@pytest.mark.parametrize("status", [None, "failed", "training"])
def test_no_trained_run_is_reported(tmp_path, status):
    if status:
        new(tmp_path, status=status)
    with pytest.raises(NotFoundError, match=r"no trained run in .*; train one first"):
        find_run(tmp_path, None)
    with pytest.raises(NotFoundError, match="no run 'zzz'"):
        find_run(tmp_path, "zzz")


def test_a_damaged_run_hides_no_other(tmp_path):
    run, damaged = new(tmp_path), new(tmp_path)
    (damaged.path / "run.json").write_text("{")
    assert find_run(tmp_path, run.name).path == run.path
    assert find_run(tmp_path, None).path == run.path
