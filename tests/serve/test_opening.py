import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.model import Model
from tests.serve.models import bundle, double_onnx, write_keys
from toolkit.errors import CheckError, NotFoundError, UsageError
from toolkit.serve import opening
from toolkit.serve.opening import open_version
from toolkit.serve.settings import Loading


@pytest.fixture
def loading(tmp_path):
    return Loading(keys=write_keys(tmp_path / "keys.json"))


def opened(path, loading, size=4):
    return open_version("m", 3, path, loading, size)


def test_a_bundle_is_tested_in_a_child_and_here(tmp_path, loading):
    version = opened(bundle(tmp_path / "a.edge"), loading)
    assert (version.name, version.number, version.text) == ("m", 3, "1.2.0")
    proof = version.proof
    assert (proof.verified, proof.reason, proof.samples) == (True, "", 5)
    assert proof.error <= 1e-6
    assert len(proof.signed_by) == 1
    assert len(proof.sha256) == 64
    assert proof.checks[0]["file"] == "double.onnx"
    assert version.inline
    assert 0 < version.seconds < 1e-3
    assert version.joins
    assert version.threads == 1
    out = version.run(version.prepare({"value": np.array([[4.0]])}))
    assert out["twice"].tolist() == [[8.0]]


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_files_that_fix_their_batch(tmp_path, loading, batch):
    version = opened(bundle(tmp_path / "a.edge", batch=batch), replace(loading, selftest=False))
    assert version.batch == batch
    assert version.proof.samples == 5  # the last batch is filled up
    assert version.joins


def test_a_file_without_a_bundle_proves_nothing(tmp_path):
    path = double_onnx(tmp_path / "m.onnx")
    with pytest.raises(CheckError, match="not served without --allow-unverified"):
        opened(path, Loading())
    version = opened(path, Loading(allow_unverified=True))
    assert not version.proof.verified
    assert "carries no verification" in version.proof.reason
    assert version.proof.error is None
    assert version.golden is None
    assert version.joins
    assert version.inline


def test_a_bundle_of_unverified_files(tmp_path, loading):
    path = bundle(tmp_path / "a.edge", verified=False)
    with pytest.raises(CheckError, match="without a passing verification; not served without"):
        opened(path, loading)
    version = opened(path, replace(loading, allow_unverified=True, selftest=False))
    assert version.proof.reason
    assert version.proof.samples == 5


def test_a_bundle_without_golden_vectors(tmp_path, loading):
    version = opened(bundle(tmp_path / "a.edge", golden_off=True), loading)
    assert version.proof.samples == 0


@pytest.mark.parametrize("selftest", [True, False])
def test_wrong_answers(tmp_path, loading, selftest):
    path = bundle(tmp_path / "a.edge", golden=2.1)
    with pytest.raises(CheckError, match="wrong answer"):
        opened(path, replace(loading, selftest=selftest))


@pytest.mark.parametrize(
    ("code", "seconds", "told"),
    [
        ("import os; os.kill(os.getpid(), 4)", 60, "illegal instruction: SIGILL"),
        ("import os; os.abort()", 60, "crash: SIGABRT while it loaded the model"),
        ("import time; time.sleep(60)", 1, "hang: stopped while it"),
    ],
)
def test_a_model_that_takes_the_process_down(tmp_path, loading, monkeypatch, code, seconds, told):
    package = tmp_path / "broken" / "onnxruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(str(package.parent))  # of the child; here it is imported already
    path = bundle(tmp_path / "a.edge")
    with pytest.raises(CheckError, match="the self-test of double") as info:
        opened(path, replace(loading, timeout=seconds))
    assert f"ended with {told}" in str(info.value)


def test_who_signed(tmp_path, loading):
    unsigned = bundle(tmp_path / "a.edge", seed=None)
    with pytest.raises(CheckError, match="not signed"):
        opened(unsigned, loading)
    quick = replace(loading, selftest=False)
    assert opened(unsigned, replace(quick, allow_unsigned=True)).proof.signed_by == ()
    assert opened(unsigned, replace(quick, keys=None)).proof.signed_by == ()
    with pytest.raises(CheckError, match="does not trust"):
        opened(bundle(tmp_path / "b.edge", seed=9), loading)


def test_damaged_missing_and_others(tmp_path, loading):
    path = bundle(tmp_path / "a.edge")
    content = path.read_bytes()
    path.write_bytes(content[:-3])
    with pytest.raises(CheckError, match=f"{path}: "):
        opened(path, loading)
    with pytest.raises(NotFoundError, match="check the path"):
        opened(tmp_path / "none.edge", loading)
    with pytest.raises(CheckError, match="a folder"):
        opened(tmp_path, loading)
    (tmp_path / "m.onnx").write_bytes(b"no model at all")
    with pytest.raises(CheckError, match="damaged"):
        opened(tmp_path / "m.onnx", Loading(allow_unverified=True))
    with pytest.raises(UsageError, match="no model int8"):
        opened(bundle(tmp_path / "a.edge"), replace(loading, precision="int8"))
    with pytest.raises(UsageError, match="one model"):
        opened(tmp_path / "m.onnx", Loading(allow_unverified=True, precision="int8"))


def test_a_file_that_changes_meanwhile(tmp_path, loading, monkeypatch):
    path = bundle(tmp_path / "a.edge")

    def changed(*arguments):
        os.utime(path, (1, 1))

    monkeypatch.setattr(opening, "warm_up", changed)
    with pytest.raises(CheckError, match="was changed while it was opened"):
        opened(path, replace(loading, selftest=False))


def test_a_slow_model_gets_all_processors(tmp_path, loading, monkeypatch):
    path = bundle(tmp_path / "a.edge")
    quick, predict = replace(loading, selftest=False), Model.predict

    def slow(model, inputs):
        time.sleep(0.003)
        return predict(model, inputs)

    monkeypatch.setattr(Model, "predict", slow)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    version = opened(path, quick)
    assert (version.threads, version.inline) == (3, False)
    assert opened(path, replace(quick, threads=2)).threads == 2


def test_batches_are_no_larger_than_is_good_for_the_model(tmp_path, loading, monkeypatch):
    def slow_from_16_on(model, inputs):
        count = len(inputs["value"])
        time.sleep(count * (0.002 if count >= 16 else 0.0004) if count > 1 else 0.001)
        return predict(model, inputs)

    path, predict = bundle(tmp_path / "a.edge"), Model.predict
    quick = replace(loading, selftest=False, threads=1)
    assert opened(path, quick, 8).most == 0
    monkeypatch.setattr(Model, "predict", slow_from_16_on)
    assert opened(path, quick, 8).most == 0
    assert opened(path, quick, 32).most in (4, 8)


def test_joining_is_tried_on_made_up_numbers(tmp_path, monkeypatch):
    """A model that looks at the whole batch: x - mean(x)."""
    from onnx import TensorProto, helper, save

    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 1]) for n in "xy")
    mean = helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0])
    less = helper.make_node("Sub", ["x", "mean"], ["y"])
    graph = helper.make_graph([mean, less], "centred", [x], [y])
    opsets = [helper.make_opsetid("", 13)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")
    assert not opened(tmp_path / "m.onnx", Loading(allow_unverified=True)).joins


def test_right_alone_and_without_a_row_a_sample(tmp_path, loading):
    """Twice the largest of the batch: golden vectors hold one by one only."""
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("value", TensorProto.FLOAT, ["n", 1])
    y = helper.make_tensor_value_info("twice", TensorProto.FLOAT, ["m", 1])
    two = helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])
    greatest = helper.make_node("ReduceMax", ["value"], ["max"], axes=[0], keepdims=1)
    double = helper.make_node("Mul", ["max", "two"], ["twice"])
    graph = helper.make_graph([greatest, double], "greatest", [x], [y], [two])
    opsets = [helper.make_opsetid("", 13)]
    content = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    path = bundle(tmp_path / "a.edge", content=content)
    version = opened(path, replace(loading, selftest=False))
    assert not version.joins
    assert version.proof.error <= 1e-6


def test_messages_begin_with_the_path_once(tmp_path, loading):
    path = bundle(tmp_path / "a.edge", content=Path(__file__).read_bytes())
    with pytest.raises(CheckError) as info:
        opened(path, replace(loading, selftest=False))
    assert str(info.value).count(str(path)) == 1
