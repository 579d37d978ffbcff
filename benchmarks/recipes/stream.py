"""A small dense network on Parquet files, read as a stream; `benchmarks.streaming` makes the files.

STREAM_FOLDER names their folder; rank 0 writes its memory into STREAM_MEMORY.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import Callback, Data, Recipe, Split, Stream

FEATURES, CLASSES = 256, 10


def targets(samples: Any) -> Any:
    """Class numbers that a network can learn: the largest of the first ten features."""
    return samples[:, :CLASSES].argmax(axis=1)


def read() -> Any:
    """All Parquet files of the folder."""
    import ray.data

    return ray.data.read_parquet(os.environ["STREAM_FOLDER"])


def data() -> Data:
    """The files to learn from, 2,000 samples in memory to judge by."""
    samples = np.random.default_rng(1).normal(size=(2000, FEATURES)).astype(np.float32)
    return Data(Stream(read), Split(samples, targets(samples)))


def torch_model() -> Any:
    """Dense layers of 64 and 10 units; logits."""
    from torch import nn

    return nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, CLASSES))


def anonymous_bytes() -> int:
    """Memory of this process that belongs to no file: what it cannot give back to the kernel."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))


class Memory(Callback):
    """Writes down the worker's memory before the first step and after the last, and its peak."""

    def on_train_begin(self, model: Any) -> None:
        """The baseline: model, optimizer and libraries are there, no step was trained."""
        self._watch(model)
        self.before = self.most = anonymous_bytes()

    def on_train_end(self, logs: Mapping[str, float], model: Any) -> None:
        """Write both figures."""
        facts = {"before": self.before, "most": self.most, "pid": os.getpid()}
        Path(os.environ["STREAM_MEMORY"]).write_text(json.dumps(facts))

    def _watch(self, model: Any) -> None:
        """Look at every fourth step, in the middle of training."""
        calls = 0

        def look(*_: Any) -> None:
            nonlocal calls
            calls += 1
            if calls % 4 == 0:
                self.most = max(self.most, anonymous_bytes())

        model.register_forward_hook(look)


recipe = Recipe(
    name="stream",
    data=data,
    torch=torch_model,
    loss="cross_entropy",
    metrics=("accuracy",),
    epochs=1,
    global_batch=1024,
    callbacks=lambda: [Memory()],
)
