"""The Ray actor of one rank: it loads its framework, runs the loop, and then lends itself out.

Ray's decorator is applied by `toolkit.train.group`; what trains is `toolkit.train.loop`. `beat`,
`leave` and `stack` run in a thread of their own, beside the training.
"""

import contextlib
import os
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.data.copies import prepare
from toolkit.data.load import Dataset
from toolkit.hosts import as_host_error, output_to
from toolkit.source import RecipeSource
from toolkit.train.adapter import Adapter, Place
from toolkit.train.control import Beat, Control
from toolkit.train.loop import fit
from toolkit.train.reports import Report
from toolkit.train.settings import Settings
from toolkit.train.state import State

_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}


@dataclass(frozen=True)
class Job:
    """What all ranks train.

    Attributes:
        source: the recipe.
        settings: how the loop runs.
        weights: content of the file that the recipe starts from, or None.
    """

    source: RecipeSource
    settings: Settings
    weights: bytes | None = None


class Worker:
    """One rank of one framework.

    Args:
        framework: 'tf' or 'torch'.
        place: rank, world, threads and GPUs.
        log: file for all output on this worker's machine, or None to let it through.
    """

    def __init__(self, framework: str, place: Place, log: Path | None) -> None:
        os.environ.update(_ENVIRONMENT)
        if not place.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._framework, self._place, self._log = framework, place, log
        self._port: socket.socket | None = None
        self._control, self._thread = Control(), 0
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            self._output = output_to(log)
            self._output.__enter__()

    def load(self) -> str:
        """Import the framework; return an address for the peers, 'host:port'."""
        if self._framework == "tf":
            with _hidden("jax", "sklearn", "pandas"):
                import tensorflow

            del tensorflow
        else:
            import torch

            del torch
        import ray

        host = ray.util.get_node_ip_address()
        self._port = socket.socket()
        self._port.bind((host, 0))  # kept until the framework takes it over
        return f"{host}:{self._port.getsockname()[1]}"

    def train(
        self, job: Job, dataset: Dataset, state: State | None, peers: Sequence[str]
    ) -> Iterator[Report]:
        """Train, from `state` where there is one; rank 0 yields what happens."""
        self._thread = threading.get_ident()
        try:
            prepare(dataset.places, lambda: self._control.doing("starting", 0))
            adapter = make_adapter(self._framework, job.source, self._place)
            if self._port is not None:
                self._port.close()
            adapter.start(peers, dataset.train.example(), job.weights)
            for report in fit(adapter, dataset, job.settings, self._control, state):
                if self._place.rank == 0:
                    yield report
            adapter.stop()
        except Exception as error:  # noqa: BLE001 - must reach the driver in a form it can read
            raise as_host_error(error) from None

    def beat(self) -> Beat:
        """What the training is doing."""
        return self._control.beat()

    def leave(self) -> None:
        """Ask the training to save its state and to leave; all ranks do when one is asked."""
        self._control.leave = True

    def stack(self) -> str:
        """Where the training's thread is, as a traceback."""
        frame = sys._current_frames().get(self._thread)
        return "".join(traceback.format_stack(frame)) if frame else ""

    def call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, str]:
        """Run a function in this process; return its value, and what it printed."""
        with tempfile.NamedTemporaryFile(suffix=".log") as file:
            log = Path(file.name)
            try:
                with output_to(log):
                    value = function(*args)
            except Exception as error:  # noqa: BLE001 - as above
                sys.stderr.write(log.read_text(errors="replace"))
                raise as_host_error(error) from None
            return value, log.read_text(errors="replace")


@contextlib.contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Let imports fail of packages that TensorFlow and Keras only try: a second of CPU a worker."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def make_adapter(framework: str, source: RecipeSource, place: Place) -> Adapter:
    """The one place where a framework's adapter is chosen."""
    recipe = source.load()
    match framework:
        case "tf":
            from toolkit.train.tensorflow import TensorFlowAdapter

            return TensorFlowAdapter(recipe, place)
        case "torch":
            from toolkit.train.torch import TorchAdapter

            return TorchAdapter(recipe, place)
    raise ValueError(framework)
