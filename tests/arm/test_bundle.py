"""Signed bundles on an emulated aarch64: they prove themselves there, and what is wrong is refused.

One bundle holds the same model for both runtimes. Most tests train nothing: they are
`make test-arm-quick`.
"""

import json

import numpy as np
import pytest

from edge.bundle import Bundle
from tests.arm.emulator import RUNTIMES
from tests.conftest import ROOT, run_toolkit

pytestmark = pytest.mark.arm

MODELS = ["double.onnx", "double.tflite"]
TWO, EIGHT = bytes([0, 0, 0, 0x40]), bytes([0, 0, 0, 0x41])  # float32; one bit apart
VALUES = np.array([[1], [2], [-3], [4]], np.float32)


@pytest.fixture
def edge(arm):
    """Run `python -m edge` there, with both runtimes: edge(COMMAND, BUNDLE, *options)."""

    def run(command, bundle, *options, program=("-m", "edge")):
        keys = ("--keys", bundle.with_name("keys.json"))
        packages = ("numpy", *RUNTIMES.values())
        path = () if program[0] != "-m" else (ROOT,)
        patience = ("--timeout", "240") if command == "selftest" else ()  # a busy machine
        asked = (*program, command, bundle, *keys, *patience, *options)
        return arm.run(*asked, packages=packages, path=path, timeout=300)

    return run


def verdicts(done):
    assert done.out, done.err
    return {each["model"]: each for each in done.json["models"]}


def flipped(path, member):
    """The bundle with one bit in the middle of a member flipped, in place."""
    found = next(m for m in Bundle.open(path, allow_unsigned=True).manifest.members
                 if m.name == member)  # fmt: skip
    data = bytearray(path.read_bytes())
    data[found.offset + found.size // 2] ^= 1
    path.write_bytes(data)
    return path


def test_a_bundle_proves_itself_by_its_own_program(edge, make_both):
    bundle = make_both()
    done = edge("selftest", bundle, "--json", program=(bundle,))
    assert (done.code, done.err) == (0, "")
    found = verdicts(done)
    assert {name: each["verdict"] for name, each in found.items()} == dict.fromkeys(
        MODELS, "passed"
    )
    assert all(each["samples"] == 4 and each["error"] <= 1e-6 for each in found.values())


@pytest.mark.parametrize("name", MODELS)
def test_it_answers(edge, make_both, name):
    done = edge("run", make_both(), "--model", name, "--input", "4")
    assert (done.code, done.out) == (0, "8\n"), done.err


@pytest.mark.parametrize(
    ("command", "member"), [*(("selftest", name) for name in (*MODELS, "golden.npz")),
                            ("run", MODELS[0])]
)  # fmt: skip
def test_a_flipped_bit_is_damage(edge, make_both, command, member):
    done = edge(command, flipped(make_both(), member), *(["4"] if command == "run" else []))
    assert (done.code, done.out) == (2, "")
    assert f"damaged: member {member} has another hash\ncopy the bundle again" in done.err


def golden_output(make_both):
    outputs = VALUES * 2
    outputs.view(np.uint32)[1] ^= 1 << 20
    return make_both(golden={"inputs.value": VALUES, "outputs.twice": outputs})


def weights(make_both):
    def changed(content):
        assert content.count(TWO) == 1
        return content.replace(TWO, EIGHT)

    return make_both(changed)


@pytest.mark.parametrize("flip", [golden_output, weights])
def test_a_flipped_bit_that_was_signed_is_a_wrong_answer(edge, make_both, flip):
    done = edge("selftest", flip(make_both), "--json")
    assert (done.code, done.err) == (1, "")
    found = verdicts(done)
    assert sorted(found) == MODELS
    for each in found.values():
        assert each["verdict"] == "wrong answer"
        assert "is over the limit of 0.0001" in each["detail"]


def test_int8_models_of_a_run_are_within_their_limits_there(edge, int8_run, tmp_path):
    """What a user does; integers are rounded by other instructions there than at export."""
    key, store = tmp_path / "key.pem", tmp_path / "keys.json"
    assert run_toolkit("keys", "new", key, "--store", store).code == 0
    checked = run_toolkit("verify", "--run", int8_run, "--json")
    assert checked.code == 0, json.dumps(checked.json, indent=1)
    for framework in ("tf", "torch"):
        file = tmp_path / f"{framework}.edge"
        options = ("--framework", framework, "--precision", "int8")
        made = run_toolkit("bundle", "--run", int8_run, *options, "--key", key, "-o", file)
        assert made.code == 0, made.err
        done = edge("selftest", file, "--json")
        assert done.code == 0, done.out + done.err
        assert {each["verdict"] for each in verdicts(done).values()} == {"passed"}
        assert len(verdicts(done)) == 2  # of each runtime one
