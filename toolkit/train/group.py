"""The worker group of one framework: a Ray actor a rank, in one placement group.

The group hands out ranks and addresses, streams what rank 0 reports, turns a worker's failure
into an error that names its rank, and lends its processes out as a `Host` after training.
"""

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from toolkit.data.load import Dataset
from toolkit.errors import ResourceError, ToolkitError, WorkerError
from toolkit.hosts import Host, HostError, as_host_error, tail
from toolkit.recipe import TITLES
from toolkit.source import RecipeSource
from toolkit.train.adapter import Place
from toolkit.train.loop import Progress, Trained
from toolkit.train.resources import Allocation
from toolkit.train.worker import Worker

_PLACEMENT_SECONDS = 60
_GRACE_SECONDS = 2.0

# What a collective says when its peer is gone: the symptom, not the cause.
_PEER_LOST = ("UnavailableError", "Connection closed by peer", "Connection reset", "Broken pipe")


class WorkerGroup(Host):
    """The workers of one framework.

    Args:
        framework: 'tf' or 'torch'.
        allocation: how many workers, and what each one gets.
        logs: folder for the workers' output, or None to let it through.
    """

    def __init__(self, framework: str, allocation: Allocation, logs: Path | None) -> None:
        self._framework, self._allocation, self._logs = framework, allocation, logs
        self._actors: list[Any] = []
        self._placement: Any = None
        self._next: Iterator[int] = itertools.cycle(range(allocation.workers))

    def start(self) -> None:
        """Create the actors and let them import their framework; returns at once."""
        import ray
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        share = self._allocation
        bundle = {"CPU": share.cpus} | ({"GPU": share.gpus} if share.gpus else {})
        self._placement = placement_group([bundle] * share.workers, strategy="PACK")
        remote = ray.remote(Worker)
        for rank in range(share.workers):
            place = Place(rank, share.workers, share.threads, share.gpus)
            options = {
                "num_cpus": share.cpus,
                "num_gpus": share.gpus,
                "scheduling_strategy": PlacementGroupSchedulingStrategy(self._placement, rank),
            }
            actor = remote.options(**options).remote(self._framework, place, self._log(rank))
            self._actors.append(actor)
        self._addresses = [actor.load.remote() for actor in self._actors]

    def train(self, source: RecipeSource, dataset: Any) -> Iterator[Progress | Trained]:
        """Train on all ranks; yield what rank 0 reports, and at last the trained model.

        Args:
            source: the recipe.
            dataset: a Ray object reference to a `Dataset`.

        Raises:
            WorkerError: a worker raised or died; the group is unusable afterwards.
            ResourceError: the cluster has no room.
        """
        self._await_placement()
        peers = self._gather(self._addresses)
        streams = [
            actor.train.options(num_returns="streaming").remote(source, dataset, peers)
            for actor in self._actors
        ]
        yield from self._follow(streams)

    def submit(self, function: Any, *args: Any, log: Path) -> "Future[Any]":
        """Run `function(*args)` in one of the workers, in turn."""
        rank = next(self._next)
        answer: Future[Any] = Future()

        def finish(done: Any) -> None:
            try:
                value, output = done.result()
                log.write_text(output)
                answer.set_result(value)
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                answer.set_exception(self._call_error(error, rank, log))

        self._actors[rank].call.remote(function, args).future().add_done_callback(finish)
        return answer

    def close(self) -> None:
        """End the workers."""
        import ray
        from ray.util.placement_group import remove_placement_group

        for actor in self._actors:
            ray.kill(actor)
        if self._placement is not None and ray.is_initialized():
            remove_placement_group(self._placement)
        self._actors, self._placement = [], None

    def _log(self, rank: int) -> Path | None:
        return self._logs / f"{self._framework}-rank{rank}.log" if self._logs else None

    def _await_placement(self) -> None:
        if not self._placement.wait(_PLACEMENT_SECONDS):
            share = self._allocation
            raise ResourceError(
                f"the cluster has no room for {share.workers} {TITLES[self._framework]} workers of "
                f"{share.cpus:g} CPU and {share.gpus} GPU within {_PLACEMENT_SECONDS} s; use fewer "
                "--workers, or see 'ray status'"
            )

    def _gather(self, references: list[Any]) -> list[Any]:
        import ray

        values = []
        for rank, reference in enumerate(references):
            try:
                values.append(ray.get(reference))
            except Exception as error:
                raise self._worker_error({rank: error}) from error
        return values

    def _follow(self, streams: list[Any]) -> Iterator[Progress | Trained]:
        """Yield rank 0's reports until all ranks have ended."""
        import ray

        ranks = {id(stream): rank for rank, stream in enumerate(streams)}
        running = list(streams)
        while running:
            ready, _ = ray.wait(running, num_returns=1, timeout=1.0)
            for stream in ready:
                try:
                    yield ray.get(next(stream))
                except StopIteration:
                    running.remove(stream)
                except Exception as error:
                    failed = {ranks[id(stream)]: error}
                    running.remove(stream)
                    failed |= self._further_failures(running, ranks)
                    raise self._worker_error(failed) from error

    def _further_failures(self, running: list[Any], ranks: dict[int, int]) -> dict[int, Exception]:
        """Wait briefly for other ranks to fail: the first to be seen is not always the cause."""
        import ray

        failed: dict[int, Exception] = {}
        deadline = time.monotonic() + _GRACE_SECONDS
        while running and (left := deadline - time.monotonic()) > 0:
            ready, running = ray.wait(running, num_returns=1, timeout=left)
            for stream in ready:
                try:
                    ray.get(next(stream))
                    running.append(stream)
                except StopIteration:
                    continue
                except Exception as error:  # noqa: BLE001 - collected, and reported as one
                    failed[ranks[id(stream)]] = error
        return failed

    def _worker_error(self, failed: dict[int, Exception]) -> ToolkitError:
        rank, error = min(failed.items(), key=lambda item: (_suspicion(item[1]), item[0]))
        who = f"{TITLES[self._framework]} worker {rank} of {self._allocation.workers}"
        log = self._log(rank)
        place = f"; its output is in {log}" if log and log.exists() else ""
        if _died(error):
            return WorkerError(
                f"{who} died (killed, crashed, or out of memory){place}; train again, with fewer "
                "--workers if memory ran out",
                detail=tail(log) if log else "",
            )
        cause = as_host_error(_unwrap(error))
        if isinstance(cause, HostError):
            return WorkerError(f"{who} failed: {cause}{place}", detail=cause.detail)
        return cause

    def _call_error(self, error: Exception, rank: int, log: Path) -> ToolkitError:
        cause = as_host_error(_unwrap(error))
        log.write_text(f"{cause}\n{cause.detail}\n")
        if _died(error):
            own = self._log(rank)
            return HostError("the process died", detail=tail(own) if own else "")
        return cause


def put(dataset: Dataset) -> Any:
    """Place the data once in Ray's shared memory; workers map it instead of copying."""
    import ray

    return ray.put(dataset)


def _unwrap(error: Exception) -> Exception:
    """The exception a worker raised, out of Ray's wrapping."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, Exception) else error


def _died(error: Exception) -> bool:
    from ray.exceptions import RayActorError, WorkerCrashedError

    return isinstance(error, RayActorError | WorkerCrashedError)


def _suspicion(error: Exception) -> int:
    """0 for a dead worker, 1 for one that raised, 2 for one that only lost its peer."""
    if _died(error):
        return 0
    text = f"{type(_unwrap(error)).__name__} {error} {getattr(_unwrap(error), 'detail', '')}"
    return 2 if any(symptom in text for symptom in _PEER_LOST) else 1
