"""What --dry-run tells: the stages' own decisions, and nothing started or written."""

import json

import pytest

from toolkit.export.request import Request
from toolkit.planning.past import Past
from toolkit.planning.plan import Guess, Plan, Stage
from toolkit.planning.train import local_gpus
from toolkit.train import cluster


def plan(toolkit, *arguments):
    result = toolkit(*arguments, "--dry-run", "--json")
    assert result.code == 0, result.err
    return result.json


def everything(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*")}


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "digits"],
        ["train", "--prove"],
        ["run"],
        ["export", "net.onnx"],
        ["verify"],
        ["bench"],
        ["bundle", "--unsigned", "--framework", "tf"],
    ],
)
def test_nothing_is_started_or_written(toolkit, made, net, tmp_path, monkeypatch, arguments):
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("started a process"))
    monkeypatch.setattr(cluster, "connect", lambda *_: pytest.fail("connected to Ray"))
    before = everything(tmp_path)
    result = toolkit(*arguments, "--dry-run")
    assert result.code == 0, result.err
    assert "nothing was started or written" in result.out
    assert everything(tmp_path) == before


def test_a_training_is_divided_as_it_will_be(toolkit, monkeypatch):
    monkeypatch.setattr(cluster, "local_cpus", lambda: 8)
    monkeypatch.setattr("toolkit.planning.train.local_gpus", lambda: 0)
    found = plan(toolkit, "train", "digits", "--workers", "2", "--epochs", "3", "--ledger")
    (stage,) = found["stages"]
    facts = stage["facts"]
    assert (facts["workers"], facts["threads"], facts["cpus"]) == (2, 2, 8)
    assert facts["data"]["train"] == 1437
    assert facts["data"]["shapes"]["image"] == "float32[8, 8, 1]"
    assert facts["steps"] == {"tf": 69, "torch": 69}
    assert "runs/digits-<time>/tf/model.keras" in stage["files"]
    assert "runs/digits-<time>/ledger.jsonl" in stage["files"]
    assert "runs/digits-<time>/checkpoints/tf" in stage["files"]
    assert found["seconds"] is None


def test_checkpoints_are_shown_without_secrets(toolkit):
    place = "s3://key:secret@bucket/a?token=1"
    (stage,) = plan(toolkit, "train", "--checkpoint-dir", place)["stages"]
    assert "s3://(hidden)@bucket/a/linear-<time>/tf?(hidden)" in stage["files"]
    assert "secret" not in json.dumps(stage)


def test_a_cluster_is_not_asked(toolkit):
    result = toolkit("train", "--address", "127.0.0.1:1", "--dry-run")
    assert result.code == 0
    assert "the cluster at 127.0.0.1:1, not asked now" in result.out


def test_what_cannot_be_done_is_refused_as_ever(toolkit, made):
    for arguments, word in (
        (["train", "--workers", "99"], "99 CPUs"),
        (["run", "--framework", "torch", "--target", "savedmodel"], "TensorFlow model only"),
        (["run", "--precision", "fp32", "--precision", "16x8"], "at least 100 samples"),
        (["export", "--framework", "tf"], "/model."),
        (["bundle", "--unsigned"], "choose with --framework"),
        (["train", "--resume", made.name], "older toolkit"),
    ):
        result = toolkit(*arguments, "--dry-run")
        assert (result.code, word in result.err) == (2, True), result.err


def test_files_are_called_as_the_request_calls_them(toolkit):
    found = plan(toolkit, "run", "digits", "--precision", "int8", "--io", "int8", "--batch", "4")
    train, export, verify = found["stages"]
    request = Request(precisions=("int8",), io="int8", batch=4)
    names = [
        request.file_name("digits", framework, target, "int8")
        for framework, target in request.cells(("tf", "torch"))
    ]
    assert export["files"] == [f"runs/digits-<time>/exports/{name}" for name in names]
    assert verify["facts"]["checks"] == {"LiteRT": 2, "onnxruntime": 2}
    assert train["stage"] == "train"


def test_of_the_ladder_one_file_of_each_model_and_target_stays(toolkit):
    _, export, verify = plan(toolkit, "run", "linear", "--precision", "best")["stages"]
    assert len(export["files"]) == 22
    assert "the smallest that passes stays" in export["notes"][0]
    assert verify["facts"] == {"files": 4, "checks": {"LiteRT": 2, "onnxruntime": 2}}


def test_a_bundle_is_what_it_will_be(toolkit, made):
    (stage,) = plan(toolkit, "bundle", "--unsigned", "--framework", "tf")["stages"]
    assert stage["files"] == [f"runs/{made.name}/bundles/shapes-1.0.0.edge"]
    assert stage["facts"]["models"][0] == "exports/shapes-tf-int8-opset18.onnx"
    assert stage["facts"]["verified"]


def test_time_is_guessed_by_earlier_runs(made):
    past = Past(made.path.parent, "shapes")
    guess = past.training(("tf", "torch"), 2, {"tf": 300, "torch": 300}, 0)
    assert guess.seconds == 15.0  # 30 steps took 1.5 s
    assert "without start-up" in guess.basis
    made.update(timings={"train": 25.5, "files": 0})
    past = Past(made.path.parent, "shapes")
    assert past.training(("tf", "torch"), 2, {"tf": 30, "torch": 30}, 0).seconds == 25.5
    assert past.training(("tf",), 2, {"tf": 30}, 0).seconds == 1.5
    assert past.training(("tf", "torch"), 2, {"tf": 30, "torch": 30}, 4).seconds == 1.5
    assert past.exporting([("tf", "onnx", "int8"), ("tf", "onnx", "fp32")]).seconds == 3.0
    assert past.exporting([("tf", "tflite", "int8")]).seconds is None
    assert past.verifying(2).seconds is None  # this verification has no time
    assert Past(made.path.parent, "other").training(("tf",), 2, {"tf": 30}, 0).seconds is None


def test_gpus_are_counted_as_ray_does(tmp_path, monkeypatch):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "null"):
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert local_gpus(tmp_path) == 2
    for value, count in (("0", 1), ("", 0), ("-1", 0), ("0,1", 2)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert local_gpus(tmp_path) == count


def test_a_plan_for_a_person():
    known = Stage("train", ["a", "b"], files=[f"f{n}" for n in range(14)], guess=Guess(90.0, "x"))
    unknown = Stage("verify", ["c"], notes=["d"])
    assert Plan("run", "r", [known]).lines()[-1].startswith("in all: about 1 min 30 s;")
    lines = Plan("run", "r", [known, unknown]).lines()
    assert lines[0] == "train    a"
    assert "           and 2 more" in lines
    assert lines[-1].startswith("in all: 1 min 30 s or more;")
