"""The report of whole runs: complete, escaped, the same again, and right about what is missing."""

import json
import re

import pytest

from tests.conftest import run_toolkit
from tests.report.conftest import HOSTILE, Here, check, make_run, parse, words
from toolkit.card import Card
from toolkit.errors import UsageError
from toolkit.report.facts import Facts, Trained
from toolkit.report.flow import flow
from toolkit.report.stage import report
from toolkit.runs import Run


def reported(run):
    return report(run, Here())


@pytest.fixture(scope="module")
def full(full_run):
    return reported(full_run)


def ids(tree):
    return [each.get("id") for each in tree.iter() if each.get("id")]


def test_everything_is_on_the_page(full):
    facts, page = full
    tree = parse(page)
    told = words(tree)
    assert {"way", "training", "verification", "blame", "ladder", "answers", "costs"} <= set(
        ids(tree)
    )
    assert {"environment", "commands", "lineage"} <= set(ids(tree))
    for wanted in (
        *("2 of 4 checks failed", "2.0% of the decisions changed", "To blame: Quantiser"),
        *("1,234 samples", "60 to judge by", "Trained with TensorFlow and PyTorch, 2 workers each"),
        *("shapes-1.0.0.edge", "4.3 kB", "✓ chosen", "too coarse", "Chip 9"),
        *("into MatMul 'logits'", "trained model", "image float32[4, 4, 1]", "ab" * 32),
        "toolkit train shapes.py --framework both --workers 2 --epochs 3",
    ):
        assert wanted in told, wanted
    assert facts.verified.passed is False
    assert len(page) < 200_000


def test_ids_are_unique_and_links_lead_somewhere(full):
    tree = parse(full[1])
    assert len(ids(tree)) == len(set(ids(tree)))
    links = [a.get("href") for a in tree.iter("a")]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids(tree))


def test_exported_files_were_really_asked(full):
    facts, page = full
    by_file = {file: one for one in facts.comparisons for file in one.files}
    assert by_file["shapes-tf-fp32-opset18.onnx"].changed == 0
    coarse = by_file["shapes-tf-int8-opset18.onnx"]
    assert coarse.changed > 0
    assert coarse.right[0] == 60 > coarse.right[1]
    assert sum(map(sum, coarse.after)) == 60
    pictures = list(parse(page).iter("img"))
    assert len(pictures) == sum(len(one.samples) for one in facts.comparisons)
    assert all(img.get("src").startswith("data:image/png;base64,") for img in pictures)


def test_the_same_run_gives_the_same_bytes(full_run, full):
    assert reported(full_run)[1] == full[1]


def test_nothing_is_loaded_from_elsewhere(full):
    text = full[1].decode()
    assert not re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!#|data:)[^\"')\s]+", text)
    assert "default-src 'none'" in text.replace("&#x27;", "'")
    for block in re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", text, re.DOTALL):
        assert not set("<&") & set(block)  # else HTML and XML would read it differently
    assert "style=" not in text  # which the policy forbids


def test_no_path_of_this_machine_is_told(tmp_path):
    run = make_run(tmp_path, origin=str(tmp_path / "private" / "shapes.py"))
    assert str(tmp_path).encode() not in reported(run)[1]


def test_hostile_names_stay_text(tmp_path):
    run = make_run(tmp_path, labels=(HOSTILE, "&lt;b&gt;", "'\"><img src=x onerror=alert(1)>"))
    recipe = run.facts["recipe"] | {"name": HOSTILE}
    versions = {"python": "<img src=x>", "<b>": "1"}
    run.update(versions=versions, error=HOSTILE, status="<i>")
    # a name in run.json that the recipe's text does not have
    run.update(recipe=recipe)
    facts, page = reported(run)
    tree = parse(page)
    assert facts.comparisons
    assert len(list(tree.iter("script"))) == 1
    assert not [img for img in tree.iter("img") if not img.get("src").startswith("data:")]
    assert "<script>alert('x')</script>&\"" in words(tree)


def test_a_run_that_passed_says_so(tmp_path):
    run = make_run(tmp_path)
    facts, page = reported(run)
    told = words(parse(page))
    assert facts.verified.passed is True
    assert "All 4 checks passed" in told
    assert "run toolkit bench" in told
    assert "blame" not in ids(parse(page))
    assert "ladder" not in ids(parse(page))
    assert facts.to_json()["passed"] is True
    json.dumps(facts.to_json(), allow_nan=False)


def test_files_that_were_exported_anew_count_as_unverified(tmp_path):
    run = make_run(tmp_path)
    first, *others = run.exports
    rows = [check(e.file, e.framework, e.sha256, True) for e in others]
    rows.append(check(first.file, first.framework, "00" * 32, True))
    run.write("verification.json", json.dumps({"passed": True, "checks": rows}).encode())
    facts, page = reported(run)
    assert facts.verified.missing == (first.file,)
    assert facts.verified.passed is None
    assert "1 file not verified" in words(parse(page))


def test_a_damaged_file_is_named_and_the_others_are_asked(tmp_path):
    run = make_run(tmp_path)
    first = run.exports[0]
    run.write(first.file, b"damaged")
    facts, page = reported(run)
    ((name, why),) = facts.unanswered
    assert first.file.endswith(name)
    assert "changed after export" in why
    assert name in words(parse(page))
    assert len({file for one in facts.comparisons for file in one.files}) == 3


def test_a_run_that_has_only_begun(tmp_path):
    run = make_run(tmp_path)
    facts = {k: v for k, v in run.facts.items() if k not in ("frameworks", "versions", "data")}
    (run.path / "run.json").write_text(json.dumps(facts | {"exports": [], "status": "failed"}))
    for name in ("metrics.jsonl", "verification.json"):
        (run.path / name).unlink()
    told = words(parse(reported(Run(run.path))[1]))
    assert "Nothing exported yet" in told
    assert "Not trained yet" in told


def test_one_framework(tmp_path):
    run = make_run(tmp_path)
    run.update(frameworks={"tf": run.facts["frameworks"]["tf"]})
    run.drop_exports([export.file for export in run.exports if export.framework == "torch"])
    told = words(parse(reported(run)[1]))
    assert "Trained with TensorFlow, 2 workers, 3 epochs" in told


def test_an_adopted_model_has_no_training(tmp_path):
    run = make_run(tmp_path)
    card = Card("given", decision="argmax", metrics=("accuracy",))
    kept = {name: run.facts[name] for name in ("created", "exports", "frameworks")}
    facts = kept | {"status": "adopted", "card": card.to_json(), "model": {}}
    (run.path / "run.json").write_text(json.dumps(facts))
    (run.path / "metrics.jsonl").unlink()
    facts, page = reported(Run(run.path))
    told = words(parse(page))
    assert "trained elsewhere" in told
    assert "training" not in ids(parse(page))
    assert facts.comparisons[0].right is None
    assert "toolkit export MODEL --name given" in told


def test_a_damaged_bench_json_is_an_error_with_a_next_step(tmp_path):
    run = make_run(tmp_path)
    run.write("bench.json", b"{")
    with pytest.raises(UsageError, match="run toolkit bench again"):
        reported(run)


def test_the_command_writes_a_file_and_tells_facts(full_run, tmp_path):
    output = tmp_path / "page.html"
    result = run_toolkit("report", "--run", str(full_run.path), "-o", output, "--json")
    assert result.code == 0, result.err
    assert result.json["report"] == str(output)
    assert result.json["bytes"] == output.stat().st_size
    assert result.json["facts"]["passed"] is False
    assert result.json["facts"]["name"] == "shapes"
    parse(output.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("status", "sign"),
    [("training", "○"), ("trained", "✓"), ("stopped", "✗"), ("failed", "✗")],
)
def test_a_training_that_goes_on_has_not_failed(status, sign):
    facts = Facts("job", "job-1", status, "2026-01-01T00:00:00", trained=(Trained("tf"),))
    page = parse("<!DOCTYPE html>\n<html>" + flow(facts) + "</html>")
    (stage,) = [each for each in page.iter("li") if "train" in words(each)]
    assert sign in words(stage)
