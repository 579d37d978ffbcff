"""What earlier stages leave for the report: measurements, and a comparison for TensorBoard."""

import json

import pytest

from tests.report.conftest import Here, make_run
from toolkit import delivery, pipeline
from toolkit.artifacts import Check
from toolkit.report.markdown import as_markdown


class Children(Here):
    """Here, where child processes are opened and closed."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(delivery, "ChildProcesses", Children)
    return make_run(tmp_path)


def test_what_was_measured_is_kept_and_reported(run):
    pipeline.bench(run, threads=1, batch=1, seconds=0.05)
    kept = json.loads((run.path / "bench.json").read_text())["files"]
    assert [row["sha256"] for row in kept] == [export.sha256 for export in run.exports]
    facts, path = pipeline.report(run, None)
    assert path == run.path / "report.html"
    assert len(facts.measured) == 4
    assert all(row.p50_us > 0 and not row.old for row in facts.measured)
    run.add_exports([type(e)(**vars(e) | {"sha256": "0"}) for e in run.exports[:1]])
    facts, _ = pipeline.report(run, None)
    assert sum(row.old for row in facts.measured) == 1


def test_an_output_folder_gets_a_file_named_after_the_run(run, tmp_path):
    assert pipeline.report(run, tmp_path)[1] == tmp_path / f"{run.name}.html"


def test_tensorboard_compares_the_precisions_of_the_latest_verification(run):
    checks = [Check(**row) for row in run.verification["checks"]]
    folder = run.path / "tensorboard" / "verify"
    for _ in range(2):
        pipeline._to_tensorboard(run, checks)
        (events,) = folder.iterdir()
    assert b"| shapes-tf-fp32-opset18.onnx | onnxruntime 1.32.0 |" in events.read_bytes()


def test_a_table_in_markdown_keeps_its_columns():
    check = Check("exports/a|b.onnx", "tf", "onnx", "r\nt", None, None, None, False, "why | not")
    head, rule, row = as_markdown([check]).splitlines()
    assert head.count("|") == rule.count("|") == 8
    assert row == "| a\\|b.onnx | r t | - | - | - | - | FAIL: why \\| not |"
