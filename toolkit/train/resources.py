"""Who gets which share of the machines. Pure: numbers in, numbers out."""

from dataclasses import dataclass

from toolkit.errors import ResourceError

Wanted = tuple[int, int] | None


@dataclass(frozen=True)
class Allocation:
    """What each worker of each framework gets.

    Attributes:
        workers: workers of one framework.
        cpus: share of CPUs that one worker reserves, above 0.
        gpus: whole GPUs of one worker.
        threads: CPU threads of one worker.
        side_by_side: whether the frameworks train at the same time or one after another.
    """

    workers: int
    cpus: float
    gpus: int
    threads: int
    side_by_side: bool


def allocate(
    wanted: Wanted, frameworks: int, cpus: int, gpus: int, global_batch: int
) -> Allocation:
    """Divide `cpus` and `gpus` among the workers of one or two frameworks.

    Frameworks share the CPUs, since one starts up while the other computes. They share GPUs only
    when every worker of both can have its own.

    Args:
        wanted: least and most workers of one framework, or None for as many as there is room for.
        frameworks: how many frameworks train.
        cpus: CPUs of the whole cluster.
        gpus: GPUs of the whole cluster.
        global_batch: more workers than samples in a batch would idle.

    Raises:
        ResourceError: more workers than CPUs, or no CPUs at all.
    """
    room = max(1, min(gpus or cpus, cpus, global_batch))
    least, most = wanted or (1, room)
    workers = max(least, min(most, room))
    if not cpus:
        raise ResourceError("the Ray cluster has no CPUs; use --address of another one")
    if workers > cpus:
        raise ResourceError(
            f"{workers} workers need {workers} CPUs, but there are {cpus}; use --workers {cpus} "
            "or fewer, or --address of a larger Ray cluster"
        )
    gpus_each = gpus // workers
    side_by_side = not gpus_each or gpus >= workers * frameworks
    if gpus_each and side_by_side:
        gpus_each = gpus // (workers * frameworks)
    sharing = workers * (frameworks if side_by_side else 1)
    share = cpus / sharing
    return Allocation(
        workers=workers,
        cpus=float(int(share)) if share >= 1 else share,
        gpus=gpus_each,
        threads=max(1, int(share)),
        side_by_side=side_by_side,
    )
