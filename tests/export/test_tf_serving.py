"""What TensorFlow Serving finds in a SavedModel of the export: signature, layout and warm-up."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import run_toolkit
from tests.export.tf_serving import SAMPLES, Found, look
from toolkit.artifacts import Golden
from toolkit.data.load import preprocess
from toolkit.export.warmup import prediction_log
from toolkit.hosts import ChildProcesses
from toolkit.runs import Run

NEEDED = "pip install --no-deps tensorflow-serving-api for TensorFlow Serving's own messages"


@pytest.fixture(scope="module")
def run(digits_run: Path, tmp_path_factory) -> Run:
    """A copy of the digits run with a SavedModel."""
    copy = tmp_path_factory.mktemp("savedmodel") / digits_run.name
    shutil.copytree(digits_run, copy)
    made = run_toolkit("export", "--run", copy, "--target", "savedmodel", "--json")
    assert made.code == 0, made.err
    return Run(copy)


@pytest.fixture(scope="module")
def golden(run: Run) -> Golden:
    return run.golden("tf")


@pytest.fixture(scope="module")
def version(run: Run) -> Path:
    folder = run.path / "exports" / "digits-tf-fp32-savedmodel"
    assert [path.name for path in folder.iterdir()] == ["1"]
    return folder / "1"


@pytest.fixture(scope="module")
def found(run: Run, version: Path, golden: Golden, tmp_path_factory) -> Found:
    inputs, scratch = preprocess(run.card, golden.inputs), tmp_path_factory.mktemp("scratch")
    with ChildProcesses(parallel=1) as children:
        return children.submit(look, version, inputs, scratch, log=run.log("test")).result()


def test_what_the_server_leaves_alone_is_in_its_folder(version: Path):
    extra = version / "assets.extra"
    assert {path.name for path in extra.iterdir()} == {
        "manifest.json",
        "labels.txt",
        "tf_serving_warmup_requests",
    }
    assert (extra / "labels.txt").read_text().split() == list(map(str, range(10)))
    assert json.loads((extra / "manifest.json").read_text())["name"] == "digits"


def near(got, golden: Golden, count: int) -> bool:
    """Whether the first outputs are the golden ones, to 1e-5 of their range."""
    wanted = golden.outputs["logits"]
    return got.shape == wanted[:count].shape and (
        np.abs(got - wanted[:count]).max() <= 1e-5 * np.ptp(wanted)
    )


def test_the_signature_answers_the_golden_vectors(found: Found, golden: Golden):
    assert set(found.outputs) == {"logits"}
    assert near(found.outputs["logits"], golden, len(golden.targets))


def test_warm_up_requests_are_golden_samples_that_the_signature_answers(run, found, golden):
    if found.warm_up is None:
        pytest.skip(NEEDED)
    assert [len(request.inputs["image"]) for request in found.warm_up] == [1, 4]
    images = preprocess(run.card, golden.inputs)["image"]
    for request in found.warm_up:
        given = request.inputs["image"]
        assert (request.model, request.signature) == ("digits", "serving_default")
        assert given.dtype == images.dtype
        np.testing.assert_array_equal(given, images[: len(given)])
        assert near(request.outputs["logits"], golden, len(given))


def test_requests_have_every_input_and_fill_a_fixed_batch(found: Found):
    if found.filled is None:
        pytest.skip(NEEDED)
    (filled,) = found.filled[5]
    assert set(filled) == {"ids", "mask"}
    np.testing.assert_array_equal(filled["ids"], SAMPLES["ids"][[0, 1, 0, 1, 0]])
    one, both = found.filled[None]
    np.testing.assert_array_equal(one["mask"], [[True]])
    np.testing.assert_array_equal(both["ids"], SAMPLES["ids"])


def test_lengths_beyond_one_byte_are_written_as_protobuf_does():
    log = prediction_log("m" * 200, {"x": b"t" * 20_000})
    assert log[:1] == b"\x32"  # predict_log = 6, a message
    inner = b"\x0a\xc8\x01" + b"m" * 200 + b"\x1a\x0fserving_default"
    assert inner in log
    assert b"\x12\xa0\x9c\x01" + b"t" * 20_000 in log
