"""SavedModels and programs of torch.export are checked in their frameworks."""

import pytest

from tests.verify import programs
from toolkit.hosts import ChildProcesses


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    with ChildProcesses(parallel=1) as children:
        tf = children.submit(programs.keras_answers, str(folder), log=folder / "tf.log")
        torch = children.submit(programs.torch_answers, log=folder / "torch.log")
        archives = children.submit(programs.torch_answers, "torchserve", log=folder / "mar.log")
        return {
            "savedmodel": tf.result(),
            "pt2": torch.result(),
            "torchserve": archives.result(),
        }


@pytest.mark.parametrize(
    ("target", "runtime"),
    [("savedmodel", "tf."), ("pt2", "torch.export"), ("torchserve", "torch.export")],
)
class TestTargets:
    def test_right_files_pass_in_any_layout_and_batch(self, answers, target, runtime):
        for name in ("right", "layout"):
            answer = answers[target][name]
            assert answer.reason == ""
            assert answer.runtime.startswith(runtime)
            assert answer.result.error < 1e-5
            assert answer.result.kept == 1

    def test_wrong_files_fail_and_say_why(self, answers, target, runtime):
        assert "is above the limit 1e-04 for fp32" in answers[target]["other weights"].reason
        assert "labels differ" in answers[target]["labels"].reason
        damaged = answers[target]["damaged"]
        assert damaged.reason
        assert damaged.result is None


def test_an_archive_whose_two_manifests_differ_fails(answers):
    reason = answers["torchserve"]["two manifests"].reason
    assert reason.startswith("net: manifest.json differs from the one in model.pt2")
