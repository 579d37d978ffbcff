"""What tests of pairs share: a host that is this process, and models from bytes."""

from concurrent.futures import Future
from pathlib import Path

from toolkit.hosts import Host
from toolkit.models.source import ModelSource
from toolkit.verify.pair import compare_pair


class Here(Host):
    """Runs functions in this process."""

    def submit(self, function, *args, log):
        future = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:  # noqa: BLE001 - as a host does
            future.set_exception(error)
        return future


def source(content, target):
    """A model file's content as a model."""
    return ModelSource(target, target, {f"model.{target}": content})


def compared(a, b, inputs=None, **limits):
    """Compare two models in this process; nothing is logged."""
    return compare_pair(a, b, inputs, Here(), Path(), **limits)
