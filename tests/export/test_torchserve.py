"""From a PyTorch run to an archive with which the real TorchServe answers as was trained."""

import json
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, run_toolkit
from tests.export import torchserve
from toolkit.artifacts import Golden
from toolkit.runs import Run


@pytest.fixture(scope="module")
def exported(digits_run: Path, tmp_path_factory) -> Path:
    """A copy of the digits run with its archive alone, which passes verification."""
    copy = tmp_path_factory.mktemp("torchserve") / digits_run.name
    shutil.copytree(digits_run, copy)
    facts = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(facts | {"exports": []}))
    made = run_toolkit("export", "--run", copy, "--target", "torchserve", "--json")
    assert made.code == 0, made.err
    assert [row["target"] for row in made.json["exports"]] == ["torchserve"]
    return copy


@pytest.fixture(scope="module")
def archive(exported: Path) -> Path:
    return exported / "exports" / "digits-torch-fp32.mar"


@pytest.fixture(scope="module")
def golden(exported: Path) -> Golden:
    return Run(exported).golden("torch")


@pytest.fixture(scope="module")
def server(archive: Path, tmp_path_factory):
    if absent := torchserve.missing():
        pytest.skip(f"TorchServe cannot run here: {absent}")
    with torchserve.serving(archive, tmp_path_factory.mktemp("server"), "numbers") as running:
        yield running


def test_the_archive_is_verified_as_its_program(exported: Path):
    done = run_toolkit("verify", "--run", exported, "--json")
    assert done.code == 0, done.err
    (check,) = done.json["checks"]
    assert (check["target"], check["runtime"]) == ("torchserve", "torch.export")
    assert check["error"] < 1e-6
    assert check["samples"] == 360


def test_an_archive_is_what_torchserve_reads_and_has_no_pickle(archive: Path):
    with zipfile.ZipFile(archive) as members:
        assert {info.compress_type for info in members.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in members.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        names = members.namelist()
        told = json.loads(members.read("MAR-INF/MANIFEST.json"))
        handler = members.read("torchserve_handler.py")
    assert told["model"]["modelName"] == "digits"
    for part in ("serializedFile", "handler", "configFile"):
        assert told["model"][part] in names
    assert handler == (ROOT / "toolkit/export/torchserve_handler.py").read_bytes()
    assert {Path(name).suffix for name in names} == {".json", ".pt2", ".pyz", ".py", ".yaml"}


def test_the_same_model_gives_the_same_bytes(exported: Path, archive: Path):
    first = archive.read_bytes()
    assert run_toolkit("export", "--run", exported, "--target", "torchserve").code == 0
    assert archive.read_bytes() == first


CODE = """
import json, sys
from types import SimpleNamespace
sys.path[:0] = [sys.argv[1]]
import torchserve_handler
replies = {}
context = SimpleNamespace(
    system_properties={"gpu_id": None},
    set_response_status=lambda code, phrase, idx: replies.setdefault(idx, code),
    set_response_content_type=lambda idx, kind: None,
)
torchserve_handler.handle(None, context)
answers = torchserve_handler.handle(json.load(sys.stdin), context)
print(json.dumps({
    "answers": answers, "statuses": replies, "toolkit": "toolkit" in sys.modules,
    "edge": sys.modules["edge"].__file__,
}))
"""


def test_it_needs_nothing_but_what_is_in_it(archive: Path, golden: Golden, tmp_path: Path):
    with zipfile.ZipFile(archive) as members:
        members.extractall(tmp_path)
    asked = [{"body": {"inputs": golden.inputs["image"][0].tolist()}}, {"body": {"inputs": [1]}}]
    done = subprocess.run(
        [sys.executable, "-c", CODE, tmp_path],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["toolkit"] is False
    assert told["edge"].startswith(str(tmp_path / "edge.pyz"))
    assert told["statuses"] == {"1": 400}
    assert json.loads(told["answers"][0])["labels"] == ["0"]


def near(value, golden: Golden, rows) -> bool:
    """Whether the outputs are the golden ones, to 1e-5 of their range."""
    wanted = golden.outputs["logits"]
    got = np.array(value["outputs"]["logits"])
    return np.abs(got - wanted[rows]).max() <= 1e-5 * np.ptp(wanted)


def test_it_answers_the_golden_vectors(server, golden: Golden):
    images = golden.inputs["image"][:40]
    reply = server.ask({"inputs": images.tolist()})
    assert reply.status == 200
    assert near(reply.value, golden, slice(0, 40))
    classes = golden.outputs["logits"][:40].argmax(axis=1).tolist()
    assert reply.value["answers"] == classes
    assert reply.value["labels"] == [str(each) for each in classes]
    rows = server.ask({"instances": images[:3].tolist()})
    assert near(rows.value, golden, slice(0, 3))
    named = server.ask({"inputs": {"image": images[7].tolist()}}, kind="text/plain")
    assert near(named.value, golden, slice(7, 8))


def test_concurrent_requests_are_never_mixed_and_bad_ones_fail_alone(server, golden: Golden):
    images = golden.inputs["image"]

    def one(number: int) -> bool:
        if number % 10 == 3:
            reply = server.ask({"inputs": [1, 2]})
            return reply.status == 400 and "input image: expected" in reply.value["error"]
        rows = slice(number, number + 1 + number % 3)
        reply = server.ask({"inputs": images[rows].tolist()})
        return reply.status == 200 and near(reply.value, golden, rows)

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(one, range(300))) == [True] * 300
    assert server.described()["batchSize"] == 8


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        ({"inputs": "x"}, "input image: holds something else than numbers"),
        ({"inputs": {"picture": 1}}, "no value for image"),
        ({"instances": [[1], [2]]}, "input image: expected one sample of shape [8, 8, 1]"),
        ({"instances": [[[0]] * 8] * 8}, "8 instances make 1 sample(s)"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(server, body, words):
    reply = server.ask(body)
    assert reply.status == 400
    assert words in reply.value["error"]


def test_only_who_has_a_key_is_answered_and_models_stay_as_they_are(server, archive: Path):
    path, key = "/predictions/numbers", server.key("management")
    assert server.call(8080, path, b"{}").value["type"] == "InvalidKeyException"
    assert server.call(8080, path, b"{}", key=key).value["type"] == "InvalidKeyException"
    refused = server.call(8081, f"/models?url={archive.name}", b"", key=key)
    assert refused.status in (403, 405)
    assert server.call(8080, "/predictions/other", b"{}", server.key()).status == 404
