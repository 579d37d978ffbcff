"""Worker groups on a real Ray: equal results for any number of workers, and failures that help."""

import os
import re
import signal
import textwrap
import threading
import time

import numpy as np
import pytest

from tests.train.real import FRAMEWORKS, OPTIMIZERS, RECIPE, source, train, weights
from toolkit.errors import RecipeError, WorkerError


@pytest.mark.parametrize("optimizer", [pytest.param("sgd", marks=pytest.mark.soak), "adam"])
@pytest.mark.parametrize("framework", ["tf", pytest.param("torch", marks=pytest.mark.soak)])
def test_any_number_of_workers_gives_the_same_weights(
    ray_cluster, framework: str, optimizer: str
) -> None:
    recipe = source(optimizer=OPTIMIZERS[optimizer])
    results = [train(framework, workers, recipe) for workers in (1, 2, 3)]
    one, *others = [weights(result) for result in results]
    assert sum(array.size for array in one) >= 44
    for other in others:
        for expected, got in zip(one, other, strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
    losses = [result.metrics["loss"] for result in results]
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-6)
    val = [result.metrics["val_mae"] for result in results]
    assert val == pytest.approx([val[0]] * 3, abs=1e-6)


@pytest.mark.parametrize("framework", [pytest.param("tf", marks=pytest.mark.soak), "torch"])
def test_more_workers_than_samples_in_a_batch(ray_cluster, framework: str) -> None:
    recipe = source(RECIPE.replace("global_batch=8", "global_batch=2"))
    one, three = (train(framework, workers, recipe) for workers in (1, 3))
    for expected, got in zip(weights(one), weights(three), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


FAILING_LOSS = """
def failing_loss():
    def loss(*arguments):
        raise ValueError("the loss is broken")
    return loss

recipe = Recipe(
    name="small", data=data, keras=keras_model, torch=torch_model,
    loss=PerFramework(keras=failing_loss, torch=failing_loss), epochs=4, global_batch=8,
)
"""


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_error_in_a_worker_names_rank_cause_and_traceback(
    ray_cluster, tmp_path, framework: str
) -> None:
    with pytest.raises(WorkerError, match=r"worker [01] of 2 failed.*the loss is broken") as error:
        train(framework, 2, source(RECIPE + FAILING_LOSS), tmp_path)
    assert re.search(r'small\.py", line \d+, in loss', error.value.detail)


def test_the_toolkits_own_errors_stay_what_they_are(ray_cluster) -> None:
    wrong_shape = RECIPE.replace("nn.Linear(6, 2)", "nn.Linear(6, 1)")
    with pytest.raises(RecipeError, match=r"\(batch, 1\).*needs \(batch, 2\)"):
        train("torch", 2, source(wrong_shape))


SUICIDE = textwrap.dedent(
    """
    import time
    def slow_loss():
        def loss(outputs, targets):
            with open(PID_FILE + str(os.getpid()), "w"):
                time.sleep(0.05)
            return ((outputs - targets) ** 2).mean(1)
        return loss

    recipe = Recipe(
        name="small", data=data, torch=torch_model,
        loss=PerFramework(torch=slow_loss), epochs=1000, global_batch=8,
    )
    """
)


def test_a_killed_worker_is_reported_with_its_rank(ray_cluster, tmp_path) -> None:
    text = RECIPE + SUICIDE.replace("PID_FILE", repr(str(tmp_path / "pid-")))

    def kill_one() -> None:
        while len(found := sorted(tmp_path.glob("pid-*"))) < 2:
            time.sleep(0.05)
        os.kill(int(found[0].name.removeprefix("pid-")), signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(WorkerError, match=r"PyTorch worker [01] of 2 died"):
        train("torch", 2, source(text), tmp_path / "logs")
    killer.join()


CALLBACKS = """
def callbacks():
    import keras

    class Recorder(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert self.model.optimizer is not None and "val_loss" in logs

    return [Recorder(), keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)]

recipe = Recipe(
    name="small", data=data, keras=keras_model, loss="mse", epochs=50, global_batch=8,
    keras_callbacks=callbacks,
)
"""


def test_keras_callbacks_work_and_stop_all_ranks(ray_cluster) -> None:
    trained = train("tf", 2, source(RECIPE + CALLBACKS))
    assert trained.facts["epochs"] == 2  # the first epoch cannot be worse than none
    assert "val_loss" in trained.metrics


BATCH_NORM = """
def normalised():
    import keras
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.BatchNormalization(), keras.layers.Dense(2)]
    )

def torch_normalised():
    from torch import nn
    return nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))

recipe = Recipe(
    name="small", data=data, keras=normalised, torch=torch_normalised, loss="mse", epochs=3,
    global_batch=8,
)
"""


@pytest.mark.soak  # worlds of both frameworks are compared without Ray too
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_batch_norm_trains_on_two_workers(ray_cluster, framework: str) -> None:
    trained = train(framework, 2, source(RECIPE + BATCH_NORM))
    assert np.isfinite(trained.metrics["val_loss"])
