"""The Ray actor of one rank: it loads its framework, runs the loop, and then lends itself out.

Ray's decorator is applied by `toolkit.train.group`; what trains is `toolkit.train.loop`.
"""

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from toolkit.data.load import Dataset
from toolkit.hosts import as_host_error, output_to
from toolkit.source import RecipeSource
from toolkit.train.adapter import Adapter, Place
from toolkit.train.loop import Progress, Trained, fit

_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}


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
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            self._output = output_to(log)
            self._output.__enter__()

    def load(self) -> str:
        """Import the framework; return an address for the peers, 'host:port'."""
        if self._framework == "tf":
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
        self, source: RecipeSource, dataset: Dataset, peers: Sequence[str]
    ) -> Iterator[Progress | Trained]:
        """Train; rank 0 yields what happens, and the trained model at last."""
        try:
            adapter = make_adapter(self._framework, source, self._place)
            if self._port is not None:
                self._port.close()
            example = {name: array[:1] for name, array in dataset.train.inputs.items()}
            adapter.start(peers, example)
            for report in fit(adapter, dataset):
                if self._place.rank == 0:
                    yield report
            adapter.stop()
        except Exception as error:  # noqa: BLE001 - must reach the driver in a form it can read
            raise as_host_error(error) from None

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
