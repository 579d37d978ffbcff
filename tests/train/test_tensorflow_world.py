"""TensorFlow on one worker, two workers and two devices: equal results, bit-equal restarts.

Every world trains all jobs of `tensorflow_world.py`, so that TensorFlow is imported few times.
"""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("tensorflow_world.py")
WORLDS = {"one": (1, 1), "two": (2, 1), "devices": (1, 2)}  # workers, devices each
RESTARTS = ("restart_sgd", "restart_adamw", "restart_float16")
# Nothing in these depends on how a batch is split, and float32 is all that rounds.
SPLITTABLE = (
    "sgd",
    "adam",
    "accumulated",
    "own_step",
    "clipped",
    "embedded",
    "embedded_clipped",
    "synchronised",
    "callbacks",
    "restart_sgd",
)
ROUNDED = ("bfloat16", "float16", "synchronised_parts")


def ports(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    found = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return found


def start(folder: Path, workers: int, devices: int) -> list[subprocess.Popen[str]]:
    peers = ports(workers)
    return [
        subprocess.Popen(
            [sys.executable, SCRIPT, folder, str(rank), str(devices), *peers],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(workers)
    ]


def finish(processes: list[subprocess.Popen[str]]) -> None:
    try:
        for process in processes:
            output, _ = process.communicate(timeout=240)
            assert process.returncode == 0, output[-3000:]
    finally:
        for process in processes:
            process.kill()


class World:
    """What the ranks of a world wrote: world[job, rank] are arrays by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, key: tuple[str, int]) -> dict[str, np.ndarray]:
        job, rank = key
        with np.load(self._folder / f"{job}.{rank}.npz") as arrays:
            return dict(arrays)


def part(arrays: dict[str, np.ndarray], *groups: str) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if name.split(".")[0] in groups}


def state(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return part(arrays, "model", "optimizer")


def text(array: np.ndarray) -> list[str]:
    return json.loads(str(array))


def assert_close(got, expected, tolerance) -> None:
    assert list(got) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, rtol=0, atol=tolerance, err_msg=name)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory) -> dict[str, World]:
    folders = {name: tmp_path_factory.mktemp(name) for name in WORLDS}
    started = {name: start(folders[name], *WORLDS[name]) for name in ("one", "devices")}
    finish([*started["one"], *started["devices"]])  # two processes at a time
    finish(start(folders["two"], *WORLDS["two"]))
    return {name: World(folder) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def restarted(worlds, tmp_path_factory) -> dict[str, World]:
    """Fresh processes that go on from the state of the first ones after a few steps."""
    found = {}
    for world in ("one", "two"):
        folder = tmp_path_factory.mktemp(f"{world}-restarted")
        for job in RESTARTS:
            saved = part(worlds[world][job, 0], "saved")
            saved = {name.removeprefix("saved."): array for name, array in saved.items()}
            np.savez(folder / f"{job}.saved.npz", **saved)
        found[world] = folder
    shutil.copy(found["two"] / "restart_sgd.saved.npz", found["one"] / "resized.saved.npz")
    for world, folder in found.items():
        finish(start(folder, *WORLDS[world]))
    return {world: World(folder) for world, folder in found.items()}


@pytest.mark.parametrize("job", SPLITTABLE)
@pytest.mark.parametrize("world", ["two", "devices"])
def test_worlds_agree(worlds, world: str, job: str) -> None:
    one, other = worlds["one"][job, 0], worlds[world][job, 0]
    assert_close(state(other), state(one), 1e-6)
    assert_close(part(other, "losses", "predicted"), part(one, "losses", "predicted"), 1e-6)
    before = part(one, "before")
    changed = [n for n, a in part(one, "model").items() if (a != before[f"before.{n}"]).any()]
    assert len(changed) >= 3


@pytest.mark.parametrize("job", [*SPLITTABLE, *ROUNDED, "plain_norm", "noisy"])
def test_ranks_hold_the_same_bits(worlds, job: str) -> None:
    first, second = (worlds["two"][job, rank] for rank in (0, 1))
    for name, array in state(first).items():
        np.testing.assert_array_equal(second[name], array, err_msg=name)
    np.testing.assert_array_equal(second["predicted"], first["predicted"])


@pytest.mark.parametrize("world", WORLDS)
def test_any_chunk_runs_in_one_trace(worlds, world: str) -> None:
    for job in ("adam", "accumulated", "synchronised", "float16"):
        assert worlds[world][job, 0]["traces"] == 1


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("job", ["accumulated", "own_step"])
def test_micro_batches_and_an_own_step_change_nothing(worlds, world: str, job: str) -> None:
    assert_close(state(worlds[world][job, 0]), state(worlds[world]["adam", 0]), 1e-6)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("job", ["clipped", "keras_clipped", "embedded_clipped"])
def test_clipping_looks_at_the_whole_batch(worlds, world: str, job: str) -> None:
    plain = "embedded_unclipped" if job.startswith("embedded") else "unclipped"
    before = part(worlds["one"][plain, 0], "before")

    def update(arrays):  # the gradient, since the learning rate is 1
        return {n: a - before[f"before.{n}"] for n, a in part(arrays, "model").items()}

    gradient = update(worlds["one"][plain, 0])
    norm = np.sqrt(sum((array.astype(float) ** 2).sum() for array in gradient.values()))
    assert norm > 0.2
    expected = {name: array * 0.1 / norm for name, array in gradient.items()}
    assert_close(update(worlds[world][job, 0]), expected, 1e-6)


@pytest.mark.parametrize("world", WORLDS)
def test_a_step_that_overflows_on_one_replica_is_left_out_on_all(worlds, world: str) -> None:
    ranks = range(WORLDS[world][0])
    for arrays in (worlds[world]["float16", rank] for rank in ranks):
        assert arrays["optimizer.loss_scale"] == 2**14
        assert arrays["optimizer.finite_steps"] == 5  # of 6
        assert arrays["optimizer.0.sgd.iteration"] == 5
    assert_close(
        part(worlds[world]["float16", 0], "model"), part(worlds["one"]["float16", 0], "model"), 2e-3
    )


@pytest.mark.parametrize("job", ["bfloat16", "float16"])
def test_mixed_precision_keeps_and_exports_float32(worlds, job: str) -> None:
    arrays = worlds["two"][job, 0]
    assert {array.dtype for array in part(arrays, "model").values()} == {np.dtype("float32")}
    assert set(arrays["computes"]) == {"float32"}
    exact = worlds["two"]["sgd" if job == "float16" else "adam", 0]
    assert np.abs(arrays["losses"][1:] - exact["losses"][1:]).max() > 0  # it did compute otherwise


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("job", ["adam", "bfloat16", "float16", "plain_norm", "noisy"])
def test_the_exported_file_answers_what_predict_answers(worlds, world: str, job: str) -> None:
    arrays = worlds[world][job, 0]
    np.testing.assert_allclose(arrays["exported"], arrays["predicted"], rtol=0, atol=1e-6)
    assert "MatMul" in arrays["operations"]


def test_plain_batch_norm_depends_on_the_split_and_says_so(worlds) -> None:
    one, two = (worlds[world]["plain_norm", 0] for world in ("one", "two"))
    assert text(two["dependent"]) == [
        "batch_normalization uses the statistics of its own part of the batch"
    ]
    assert np.abs(one["losses"] - two["losses"]).max() > 1e-4
    assert text(worlds["two"]["synchronised", 0]["dependent"]) == []
    assert text(worlds["two"]["adam", 0]["dependent"]) == []
    assert text(worlds["two"]["synchronised_parts", 0]["dependent"]) == [
        "batch_normalization uses the statistics of one micro-batch of all workers"
    ]


def test_dropout_says_that_its_draws_depend_on_the_split(worlds) -> None:
    _, dropout = text(worlds["two"]["noisy", 0]["dependent"])
    assert dropout == (
        "dropout draws its random numbers for each part of the batch, the same ones on every worker"
    )


@pytest.mark.parametrize("world", WORLDS)
def test_callbacks_see_the_right_epochs_and_stop_all_ranks(worlds, world: str) -> None:
    for rank in range(WORLDS[world][0]):
        arrays = worlds[world]["callbacks", rank]
        assert arrays["epochs"].tolist()[:3] == [4, 4, 5]
        assert arrays["stops"].tolist() == [False, world == "two"]


@pytest.mark.parametrize("world", ["one", "two"])
@pytest.mark.parametrize("job", RESTARTS)
def test_a_restart_continues_with_the_same_bits(worlds, restarted, world: str, job: str) -> None:
    for rank in range(WORLDS[world][0]):
        expected, got = state(worlds[world][job, rank]), state(restarted[world][job, rank])
        assert list(got) == list(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(got[name], array, err_msg=name)


def test_a_restart_may_use_another_number_of_workers(worlds, restarted) -> None:
    got, expected = restarted["one"]["resized", 0], worlds["two"]["restart_sgd", 0]
    assert_close(state(got), state(expected), 1e-6)
