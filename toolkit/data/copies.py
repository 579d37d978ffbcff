"""Records for every machine of a cluster: copied from the one that read them.

Reading a stream on each machine could give another order on each; a copy is the same to the byte.
"""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.data import cache
from toolkit.data.records import Records
from toolkit.data.writer import storage_error

_PIECE = 8 * 2**20
_PIECES_AHEAD = 4


@dataclass(frozen=True)
class Place:
    """Records on one machine of a Ray cluster.

    Attributes:
        folder: the same path on every machine.
        node: Ray's id of the machine that read them.
    """

    folder: Path
    node: str


def prepare(places: Sequence[Place], tick: Callable[[], None]) -> None:
    """Copy records to this machine where it lacks them; called in a worker.

    Args:
        places: of a `Dataset`.
        tick: called for each piece that is copied.

    Raises:
        StorageError: they do not fit onto this machine's disk.
    """
    for place in places:
        if place.folder.is_dir():
            continue
        root = place.folder.parents[1]
        root.mkdir(parents=True, exist_ok=True)
        with cache.locked(root, place.folder.name):
            if not place.folder.is_dir():
                cache.store(root, functools.partial(fetch, place, tick))


def fetch(place: Place, tick: Callable[[], None], folder: Path) -> str:
    """Copy records from the machine that has them into an empty folder; return their hash."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    task = ray.remote(_pieces).options(
        num_cpus=0,
        num_returns="streaming",
        _generator_backpressure_num_objects=_PIECES_AHEAD,
        scheduling_strategy=On(place.node, soft=False),
    )
    try:
        for reference in task.remote(place.folder):
            name, piece = ray.get(reference)
            with (folder / name).open("ab") as file:
                file.write(piece)
            tick()
    except OSError as error:
        raise storage_error(place.folder, error) from error
    records = Records(folder)
    records.verify()
    for facts in records.meta["columns"].values():  # verified: as good as written there
        os.utime(folder / facts["file"], ns=(facts["written"], facts["written"]))
    return records.sha256


def _pieces(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield path.name, piece
