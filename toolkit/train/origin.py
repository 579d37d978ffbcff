"""What run.json records about how a run came to be: seeds, data, versions, the machine."""

import platform
from contextlib import suppress
from pathlib import Path

from toolkit.data.load import Dataset
from toolkit.recipe import Recipe
from toolkit.train import cluster

_RECORDED = ("ray", "tensorflow", "keras", "torch", "numpy")


def facts_of(recipe: Recipe, dataset: Dataset) -> dict[str, object]:
    """All of it, of a run that begins."""
    versions = {name: _version(name) for name in _RECORDED}
    return {
        "seed": recipe.seed,
        "epochs": recipe.epochs,
        "global_batch": recipe.global_batch,
        "data": {
            "sha256": dataset.sha256,
            "train": dataset.epoch_samples,
            "validation": len(dataset.validation),
            "records": {name: str(folder) for name, folder in dataset.records.items()},
        },
        "versions": {"python": platform.python_version()} | versions,
        "machine": {"system": platform.platform(), "cpu": _cpu(), "cpus": cluster.local_cpus()},
    }


def _cpu() -> str:
    """The processor's name, or '' where the system does not tell it."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        return next(iter(names), platform.machine())
    return platform.machine()


def _version(package: str) -> str | None:
    from importlib import metadata  # slow to import, and not needed for --help

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
