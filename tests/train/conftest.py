"""A linear model in numpy behind the real adapter interface, and a world of such adapters."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from toolkit import Data, Recipe, Split
from toolkit.data.load import load
from toolkit.train.adapter import Adapter, Place
from toolkit.train.control import Control
from toolkit.train.loop import fit
from toolkit.train.reports import Checkpoint, Progress, Trained

RATE = 0.05


class Group:
    """A sum over the ranks of one world, each in a thread."""

    def __init__(self, world):
        self.slots = [None] * world
        self.barrier = threading.Barrier(world, timeout=60)

    def sum(self, rank, values):
        self.slots[rank] = values
        self.barrier.wait()
        total = np.sum(self.slots, axis=0)
        self.barrier.wait()
        return total


class FakeAdapter(Adapter):
    """y = x w + b by gradient descent; keeps what it was given."""

    momentum = 0.0

    def __init__(self, recipe, place, group, replicas=1):
        super().__init__(recipe, place)
        self.group, self._replicas = group, replicas
        self.chunks, self.calls = [], []

    @property
    def replicas(self):
        return self._replicas

    def start(self, peers, example, weights=None):
        self.weights = np.zeros(1 + next(iter(example.values()))[0].size)
        self.velocity = np.zeros_like(self.weights)  # momentum: a slot that must be saved too

    @property
    def model(self):
        return self

    def state(self):
        return {"model.w": self.weights.copy(), "optimizer.v": self.velocity.copy()}

    def restore(self, arrays):
        self.weights = np.array(arrays["model.w"])
        self.velocity = np.array(arrays.get("optimizer.v", self.velocity))

    def train(self, chunks):
        self.chunks.append(chunks)
        shares = np.zeros(len(chunks[0]))
        for step in range(len(shares)):
            gradient = np.zeros_like(self.weights)
            for chunk in chunks:
                x, t, w = (
                    self._features(chunk.inputs, step),
                    chunk.targets[step],
                    chunk.weights[step],
                )
                errors = x @ self.weights - t[:, 0]
                shares[step] += (w * errors**2).sum() / chunk.sizes[step]
                gradient += 2 * (w * errors) @ x / chunk.sizes[step]
            factor = 1 if chunks[0].factors is None else chunks[0].factors[step]
            total = self.group.sum(self.place.rank, gradient)
            self.velocity = self.momentum * self.velocity + total
            self.weights = self.weights - RATE * factor * self.velocity
        return shares

    def _features(self, inputs, step=...):
        (x,) = inputs.values()
        x = x[step].reshape(len(x[step]), -1).astype(np.float64)
        return np.concatenate([x, np.ones((len(x), 1))], axis=1)

    def predict(self, inputs):
        return self._features(inputs) @ self.weights[:, None]

    def losses(self, outputs, targets):
        return ((outputs - targets) ** 2).mean(axis=1)

    def all_sum(self, values):
        return self.group.sum(self.place.rank, values)

    def files(self, example):
        self.calls.append(("files", {name: array.shape for name, array in example.items()}))
        return {"model.npy": self.weights.tobytes()}

    def train_begin(self, epochs, epoch=0):
        self.calls.append(("begin", epochs, epoch))

    def epoch_end(self, epoch, logs):
        self.calls.append(("epoch", epoch, dict(logs)))
        return False

    def train_end(self, logs):
        self.calls.append(("end", dict(logs)))


class World:
    """All ranks of one training, with their reports."""

    def __init__(self, adapters, dataset, settings=None, controls=None, state=None):
        self.adapters, self.dataset = adapters, dataset
        self.settings, self.state = settings, state
        self.controls = controls or [Control() for _ in adapters]
        self.reports, self.errors = [[] for _ in adapters], []
        threads = [threading.Thread(target=self._run, args=(a,)) for a in adapters]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
        self.weights = adapters[0].weights

    def of(self, kind):
        """Rank 0's reports of one kind."""
        return [report for report in self.reports[0] if isinstance(report, kind)]

    @property
    def progress(self):
        return self.of(Progress)

    @property
    def trained(self):
        (trained,) = self.of(Trained)
        return trained

    @property
    def checkpoints(self):
        return [report.state for report in self.of(Checkpoint)]

    @property
    def rows(self):
        return [row for progress in self.progress for row in progress.rows]

    def _run(self, adapter):
        rank = adapter.place.rank
        try:
            adapter.start([], self.dataset.train.example())
            for report in fit(
                adapter, self.dataset, self.settings, self.controls[rank], self.state
            ):
                self.reports[rank].append(report)
        except Exception as error:  # noqa: BLE001 - raised again in the test's thread
            self.errors.append(error)
            adapter.group.barrier.abort()


@pytest.fixture(scope="session")
def adapter_class():
    return FakeAdapter


@pytest.fixture(scope="session")
def train():
    """Train a recipe's data in a world of fake adapters: train(recipe, world=2, replicas=1)."""

    def train(recipe, world=1, replicas=1, adapter=FakeAdapter, **how):
        group = Group(world)
        places = [Place(rank, world) for rank in range(world)]
        adapters = [adapter(recipe, place, group, replicas) for place in places]
        return World(adapters, load(recipe), **how)

    return train


@pytest.fixture(scope="session")
def job():
    """A recipe with 23 training and 17 validation samples of 2 features: job(epochs=4, ...)."""
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 2)).astype(np.float32)
    y = (x @ [2.0, -1.0] + 0.5 + 0.1 * random.normal(size=40)).astype(np.float32)
    data = Data(Split(x[:23], y[:23]), Split(x[23:], y[23:]))
    recipe = Recipe("job", lambda: data, torch=object, metrics=("mae",), epochs=4, global_batch=5)
    return lambda **fields: replace(recipe, **fields)
