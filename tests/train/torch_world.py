"""Torch adapters in processes of their own, without Ray: one for each rank of a small world.

The test process loads no framework. A job is a function of a test file that takes a `Seat`; every
rank runs it, in a process forked from one that has torch loaded.
"""

import faulthandler
import itertools
import multiprocessing
import random
import runpy
import socket
import traceback
from dataclasses import dataclass, field

import numpy as np

from toolkit import Data, Recipe, Split
from toolkit.data.plan import shard_bounds
from toolkit.errors import ToolkitError
from toolkit.train.adapter import Chunk, Place

FEATURES = 6
CLASSES = 3

_PATIENCE = 90  # seconds


@dataclass
class Seat:
    """A rank's place in a world, and what its job needs."""

    rank: int
    world: int
    port: int
    adapters: list = field(default_factory=list)

    def adapter(self, builder, weights=None, features=FEATURES, **fields):
        """A started adapter for a model of 3 classes."""
        from toolkit.train.torch import TorchAdapter

        fields = {"loss": "cross_entropy", "seed": 3} | fields
        recipe = Recipe("job", _no_data, torch=builder, **fields)
        self.stop()
        adapter = TorchAdapter(recipe, Place(self.rank, self.world))
        example = {"input": np.zeros((1, features), np.float32)}
        adapter.start([f"127.0.0.1:{self.port}"] * self.world, example, weights)
        self.adapters.append(adapter)
        return adapter

    def stop(self):
        """Stop the adapter that was started last."""
        while self.adapters:
            self.adapters.pop().stop()
            self.port += 1  # a second one gets an address of its own

    def train(self, adapter, sizes, first=0, factors=None, weigh=None):
        """Train steps of global batches of `sizes` samples; return the mean loss of each."""
        losses = []
        for size, steps in itertools.groupby(range(len(sizes)), sizes.__getitem__):
            steps = [first + step for step in steps]
            chunk = self.chunk(steps, size, factors, weigh)
            losses.append(adapter.all_sum(adapter.train([chunk])))
        return np.concatenate(losses)

    def chunk(self, steps, size, factors=None, weigh=None):
        """This rank's part of some steps; an empty one is filled as the loop does."""
        low, high = shard_bounds(size, self.rank, self.world)
        x, y = zip(*[samples(step, size) for step in steps], strict=True)
        x, y = np.stack(x), np.stack(y)
        weights = np.ones(y.shape, np.float32) if weigh is None else weigh(x, y)
        x, y, weights = x[:, low:high], y[:, low:high], weights[:, low:high]
        if low == high:
            x, y = 50 + np.ones((len(steps), 1, FEATURES), np.float32), np.zeros((len(steps), 1))
            y, weights = y.astype(np.int64), np.zeros((len(steps), 1), np.float32)
        rates = None if factors is None else np.array([factors(s) for s in steps], np.float32)
        sizes = np.full(len(steps), size, np.float32)
        return Chunk(steps[0], {"input": x}, y, weights, sizes, rates)


def samples(step, size):
    """Inputs [size, 6] and class numbers [size] of a step."""
    random = np.random.default_rng(step)
    x = random.normal(2, 3, size=(size, FEATURES)).astype(np.float32)
    return x, (np.abs(x[:, :CLASSES]).argmax(1)).astype(np.int64)


def run(job, world=1, **arguments):
    """Run `job(seat, **arguments)` on every rank; return what each rank returned."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo"])
    port, ranks = _free_port(), []
    for rank in range(world):
        ours, theirs = context.Pipe(duplex=False)
        task = (job.__code__.co_filename, job.__name__, (rank, world, port), arguments, theirs)
        process = context.Process(
            target=runpy.run_path, args=(__file__, {"TASK": task}, "__rank__"), daemon=True
        )
        process.start()
        theirs.close()
        ranks.append((process, ours))
    try:
        answers = [
            ours.recv() if ours.poll(2 * _PATIENCE) else (False, "hangs") for _, ours in ranks
        ]
    finally:
        for process, _ in ranks:
            process.kill()
            process.join()
    errors = [value for succeeded, value in answers if not succeeded]
    if errors:  # one that only lost its peer is not the cause
        cause = min(errors, key=lambda error: "Connection closed by peer" in str(error))
        raise cause if isinstance(cause, Exception) else RuntimeError(cause)
    return [value for _, value in answers]


def same(one, two, **tolerance):
    """Compare two results: dicts of arrays with equal names; bit for bit without a tolerance."""
    assert list(one) == list(two)
    for name, array in one.items():
        if tolerance:
            np.testing.assert_allclose(array, two[name], err_msg=name, **tolerance)
        else:
            np.testing.assert_array_equal(array, two[name], err_msg=name)


def _no_data():
    return Data(Split(np.zeros((1, 1)), np.zeros(1)), Split(np.zeros((1, 1)), np.zeros(1)))


def _free_port():
    """The first of two free ports, which the system gives to nobody on its own.

    A rank may start twice, the second time one port higher; of the ports that connections get by
    themselves, that one may be taken by then.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_000, 2), 100):
        try:
            for each in (port, port + 1):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", each))
        except OSError:
            continue
        return port
    raise OSError("no free port")


def _run_rank(file, name, seat, arguments, pipe):
    faulthandler.dump_traceback_later(_PATIENCE, exit=True)
    try:
        seat = Seat(*seat)
        result = runpy.run_path(file)[name](seat, **arguments)
        seat.stop()
        pipe.send((True, result))
    except ToolkitError as error:
        pipe.send((False, error))
    except Exception:  # noqa: BLE001 - goes to the test
        pipe.send((False, traceback.format_exc()))


if __name__ == "__rank__":
    _run_rank(*TASK)  # noqa: F821 - given by `run`
