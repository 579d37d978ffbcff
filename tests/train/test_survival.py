"""Workers that die, raise and hang: training goes on, and ends as if nothing had happened."""

import functools
import os
import signal
import threading
import time
from dataclasses import dataclass, field

import pytest

from tests.train.real import RECIPE, allocation, close, equal, source, train
from toolkit.data.load import load
from toolkit.errors import StorageError, WorkerError
from toolkit.train.checkpoints import Checkpoints, Identity
from toolkit.train.group import put
from toolkit.train.policy import Cause, Patience
from toolkit.train.reports import Checkpoint, Left, Progress, Trained
from toolkit.train.settings import Settings
from toolkit.train.storage import Storage
from toolkit.train.supervisor import Attempt, Supervisor
from toolkit.train.worker import Job

# A callback that does harm at the end of an epoch, on one rank, once for each file that is there.
HARM = """
import os, signal, time
from toolkit import Callback

class Harm(Callback):
    def on_epoch_end(self, epoch, logs, model):
        try:
            os.unlink(os.path.join(FOLDER, f"harm-{epoch}"))
        except FileNotFoundError:
            return False
        HARM
        return False

recipe = Recipe(
    name="small", data=data, keras=keras_model, torch=torch_model, loss="mse", metrics=("mae",),
    optimizer=Adam(0.01), schedule=Cosine(warmup_steps=3), epochs=8, global_batch=8,
    callbacks=lambda: [Harm()], deterministic=True,
)
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
ADAM = "Adam(0.01)"
TF_SOAK = pytest.param("tf", marks=pytest.mark.soak)


@dataclass
class Outcome:
    """What a supervised training reported."""

    supervisor: Supervisor
    checkpoints: Checkpoints
    reports: list = field(default_factory=list)

    def of(self, kind):
        return [report for report in self.reports if isinstance(report, kind)]

    @property
    def attempts(self):
        return self.of(Attempt)

    @property
    def trained(self):
        (trained,) = self.of(Trained)
        return trained


class Training:
    """A supervised training in a folder of its own."""

    def __init__(self, tmp_path):
        self.folder = tmp_path / "harm"
        self.folder.mkdir()
        self.storage = Storage.at(str(tmp_path / "checkpoints"))

    def recipe(self, harm="pass", at=(), epochs=8):
        for epoch in at:
            (self.folder / f"harm-{epoch}").touch()
        text = (
            HARM.replace("epochs=8", f"epochs={epochs}")
            .replace("FOLDER", repr(str(self.folder)))
            .replace("        HARM", f"        {harm}")
        )
        return source(RECIPE + text, ADAM)

    def run(
        self, framework, recipe, workers=2, failures=3, every="epoch", watch=None, **patience
    ) -> Outcome:
        dataset = load(recipe.load())
        identity = Identity(recipe.sha256, framework, dataset.sha256)
        checkpoints = Checkpoints(self.storage, identity)
        sizes = workers if callable(workers) else lambda: allocation(workers)
        supervisor = Supervisor(framework, sizes, checkpoints, failures, None, Patience(**patience))
        outcome = Outcome(supervisor, checkpoints)
        try:
            job = Job(recipe, Settings(checkpoint_every=every, watch=False))
            for report in supervisor.run(job, put(dataset)):
                outcome.reports.append(report)
                if watch:
                    watch(outcome, report)
        finally:
            supervisor.close()
        return outcome


@pytest.fixture
def training(ray_cluster, tmp_path):
    return Training(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(ray_cluster, tmp_path_factory):
    """The same recipe trained without harm: undisturbed(framework), undisturbed(framework, 200)."""

    @functools.cache
    def result(framework: str, epochs: int = 8) -> Trained:
        recipe = Training(tmp_path_factory.mktemp(framework)).recipe("pass", [], epochs)
        return train(framework, 2, recipe)

    return result


@pytest.mark.parametrize("framework", [TF_SOAK, "torch"])
def test_two_kills_leave_no_trace_in_the_weights(training, undisturbed, framework) -> None:
    recipe = training.recipe(KILL, [3, 6])
    done = training.run(framework, recipe)
    assert [attempt.number for attempt in done.attempts] == [1, 2, 3]
    steps = [attempt.state.step for attempt in done.attempts[1:]]
    assert steps == [10, 25]  # epochs of 5 steps; the kills came before their checkpoints
    assert [failure.cause for failure in done.supervisor.failures] == [Cause.DIED] * 2
    assert "died" in done.attempts[1].notes[0]
    assert equal(done.trained, undisturbed(framework))


@pytest.mark.soak
def test_an_error_that_passes_is_survived(training, undisturbed) -> None:
    recipe = training.recipe('raise OSError(f"disk {epoch}")', [2, 4])
    done = training.run("torch", recipe)
    assert [failure.cause for failure in done.supervisor.failures] == [Cause.RAISED] * 2
    assert equal(done.trained, undisturbed("torch"))


@pytest.mark.soak
def test_an_error_that_stays_is_not_repeated_for_ever(training) -> None:
    recipe = training.recipe('raise OSError("disk")', [2, 4])
    with pytest.raises(WorkerError, match=r"disk.*in the same way twice"):
        training.run("torch", recipe)


@pytest.mark.soak
def test_too_many_failures_end_the_training_with_the_last_one(training) -> None:
    recipe = training.recipe(KILL, [2, 3, 4])
    with pytest.raises(WorkerError, match=r"died.*2 failures, and --max-failures is 1"):
        training.run("torch", recipe, failures=1)


@pytest.mark.soak
def test_memory_that_runs_out_is_called_so(training) -> None:
    recipe = training.recipe("bytearray(1 << 60)", [2])
    done = training.run("torch", recipe)
    assert [failure.cause for failure in done.supervisor.failures] == [Cause.MEMORY]
    assert done.trained


@pytest.mark.parametrize("framework", [TF_SOAK, "torch"])
def test_a_worker_that_stands_still_is_found_and_named(training, undisturbed, framework) -> None:
    recipe = training.recipe("os.kill(os.getpid(), signal.SIGSTOP)", [3])
    begun = time.monotonic()
    done = training.run(framework, recipe, silence=4.0, busy=4.0)
    assert time.monotonic() - begun < 60
    (failure,) = done.supervisor.failures
    assert failure.cause is Cause.HUNG
    assert "has not answered" in failure.message
    assert equal(done.trained, undisturbed(framework))


STUCK_LOSS = """
def stuck_loss():
    def loss(outputs, targets):
        try:
            os.unlink(os.path.join(FOLDER, "harm-0"))
            time.sleep(1000)
        except FileNotFoundError:
            pass
        return ((outputs - targets) ** 2).mean(1)
    return loss

recipe = Recipe(
    name="small", data=data, torch=torch_model, loss=PerFramework(torch=stuck_loss), epochs=400,
    global_batch=8,
)
"""


@pytest.mark.soak
def test_a_rank_that_never_reaches_the_collective_is_found(training) -> None:
    recipe = training.recipe()
    text = recipe.text + STUCK_LOSS.replace("FOLDER", repr(str(training.folder)))

    def harm(outcome, report) -> None:
        if isinstance(report, Progress) and report.step > 40 and len(outcome.attempts) == 1:
            (training.folder / "harm-0").touch()

    done = training.run("torch", source(text, ADAM), stall=3.0, factor=3.0, watch=harm)
    failure = done.supervisor.failures[0]
    assert failure.cause is Cause.HUNG
    assert "has not got on" in failure.message
    assert done.trained.facts["steps"] == 2000


def test_a_damaged_newest_checkpoint_costs_one_step_back(training, undisturbed) -> None:
    recipe = training.recipe(KILL, [4])

    def damage(outcome, report) -> None:
        if isinstance(report, Checkpoint) and report.state.step == 15:
            name = outcome.checkpoints.entries[-1].name
            content = bytearray(training.storage.read(name))
            content[-1] ^= 1
            training.storage.write(name, bytes(content))

    done = training.run("torch", recipe, watch=damage)
    second = done.attempts[1]
    assert second.state.step == 10
    assert any("damaged" in note and "15" in note for note in second.notes)
    assert equal(done.trained, undisturbed("torch"))


@pytest.mark.soak
def test_storage_that_goes_away_ends_the_training_and_keeps_the_last_state(
    training, undisturbed
) -> None:
    class Failing(Storage):
        """A storage whose disk is full after some writes."""

        def write(self, name, content):
            if name.startswith("step-") and "15" in name:
                raise StorageError("cannot write: no space left")
            inner.write(name, content)

        def read(self, name):
            return inner.read(name)

        def delete(self, name):
            inner.delete(name)

        def names(self):
            return inner.names()

    inner, training.storage = training.storage, Failing()
    training.storage.location = inner.location
    recipe = training.recipe()
    with pytest.raises(StorageError, match="no space"):
        training.run("torch", recipe)
    training.storage = inner
    done = training.run("torch", recipe)
    assert done.attempts[0].state.step == 10
    assert equal(done.trained, undisturbed("torch"))


@pytest.mark.soak
def test_workers_that_wait_for_slow_storage_are_not_taken_for_hanging(training) -> None:
    """Rank 0 waits for the driver, and the others for rank 0, longer than steps may take."""
    recipe = training.recipe(epochs=60)
    write, slow = training.storage.write, [True]

    def write_slowly(name, content):
        if slow and name.startswith("step-"):
            slow.clear()
            time.sleep(8)
        write(name, content)

    training.storage.write = write_slowly
    done = training.run("torch", recipe, stall=2.0, factor=1.0, silence=3.0)
    assert not done.supervisor.failures
    assert done.trained


@pytest.mark.parametrize("framework", ["tf", pytest.param("torch", marks=pytest.mark.soak)])
def test_it_leaves_when_asked_and_goes_on_with_another_number_of_workers(
    training, undisturbed, framework
) -> None:
    long = training.recipe(epochs=100)

    def leave(outcome, report) -> None:
        if isinstance(report, Progress) and report.step >= 20:
            outcome.supervisor.leave()

    left = training.run(framework, long, every="never", watch=leave)
    (step,) = [report.step for report in left.of(Left)]
    assert not left.of(Trained)
    done = training.run(framework, long, workers=1)
    assert done.attempts[0].state.step == step
    assert close(done.trained, undisturbed(framework, 100))


@pytest.mark.soak
def test_a_cluster_that_shrinks_and_grows(training, undisturbed, monkeypatch) -> None:
    """The sizes are told, not measured: real nodes come and go in test_nodes.py."""
    monkeypatch.setattr("toolkit.train.supervisor._LOOK_SECONDS", 0.2)
    size = [2]
    long = training.recipe(epochs=200)
    steps: list[int] = []

    def change(outcome, report) -> None:
        if isinstance(report, Progress):
            steps.append(report.step)
            if len(outcome.attempts) == 1 and report.step > 100:
                size[0] = 1
                threading.Thread(target=kill_one, args=(outcome.supervisor,)).start()
            if len(outcome.attempts) == 2 and report.step > 300:
                size[0] = 2

    def kill_one(supervisor) -> None:
        for actor in supervisor.group._actors[-1:]:
            import ray

            pid = ray.get(actor.call.options(concurrency_group="control").remote(os.getpid, ()))[0]
            os.kill(pid, signal.SIGKILL)

    done = training.run(
        "torch", long, workers=lambda: allocation(size[0]), watch=change, every="auto"
    )
    assert [attempt.workers for attempt in done.attempts] == [2, 1, 2]
    assert "room for more workers" in done.attempts[2].notes[0]
    assert len(done.supervisor.failures) == 1
    assert close(done.trained, undisturbed("torch", 200))
