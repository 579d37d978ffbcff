"""The worker group of one framework: a Ray actor a rank, in one placement group.

The group hands out ranks and addresses, streams what rank 0 reports, turns a worker's failure
into an error that names its rank, and lends its processes out as a `Host` after training.
"""

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.hosts import Host, HostError, as_host_error, tail
from toolkit.recipe import TITLES
from toolkit.train.adapter import Place
from toolkit.train.failures import AttemptError, cause_of, died, own_error, suspicion, unwrap
from toolkit.train.policy import Cause, Patience, hung
from toolkit.train.pulses import Pulses
from toolkit.train.reports import Report
from toolkit.train.resources import Allocation
from toolkit.train.worker import Job, Worker

_GRACE_SECONDS = 2.0
_STACK_SECONDS = 2.0
_STACK_LINES = 6
_BUFFERED_REPORTS = 16  # rank 0 waits where the driver cannot follow


class WorkerGroup(Host):
    """The workers of one framework.

    Args:
        framework: 'tf' or 'torch'.
        allocation: how many workers, and what each one gets.
        logs: folder for the workers' output, or None to let it through.
        patience: how long a worker may be silent or stuck.
    """

    def __init__(
        self,
        framework: str,
        allocation: Allocation,
        logs: Path | None,
        patience: Patience | None = None,
    ) -> None:
        self.allocation = allocation
        self._framework, self._logs = framework, logs
        self._patience = patience or Patience()
        self._actors: list[Any] = []
        self._placement: Any = None
        self._next: Iterator[int] = itertools.cycle(range(allocation.workers))

    def start(self) -> None:
        """Create the actors and let them import their framework; returns at once."""
        import ray
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        share = self.allocation
        bundle = {"CPU": share.cpus} | ({"GPU": share.gpus} if share.gpus else {})
        self._placement = placement_group([bundle] * share.workers, strategy="PACK")
        remote = ray.remote(concurrency_groups={"control": 1})(Worker)
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

    def placed(self, seconds: float) -> bool:
        """Wait until the cluster has room for all workers; False if not within `seconds`."""
        return bool(self._placement.wait(seconds))

    def train(self, job: Job, dataset: Any, state: Any = None) -> Iterator[Report]:
        """Train on all ranks; yield what rank 0 reports, and at last the trained model.

        Args:
            job: what to train.
            dataset: a Ray object reference to a `Dataset`.
            state: a reference to a `State` to go on from, or None.

        Raises:
            AttemptError: a worker raised, died or hangs; the group is unusable afterwards.
            ToolkitError: a worker raised one of the toolkit's own.
        """
        peers = self._gather(self._addresses)
        options = {
            "num_returns": "streaming",
            "_generator_backpressure_num_objects": _BUFFERED_REPORTS,
        }
        streams = [
            actor.train.options(**options).remote(job, dataset, state, peers)
            for actor in self._actors
        ]
        yield from self._follow(streams)

    def leave(self) -> None:
        """Ask the workers to save their state and leave; `train` then ends with `Left`."""
        for actor in self._actors:
            actor.leave.options(concurrency_group="control").remote()

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

        if ray.is_initialized():
            for actor in self._actors:
                ray.kill(actor)
        if self._placement is not None and ray.is_initialized():
            remove_placement_group(self._placement)
        self._actors, self._placement = [], None

    def _log(self, rank: int) -> Path | None:
        return self._logs / f"{self._framework}-rank{rank}.log" if self._logs else None

    def _gather(self, references: list[Any]) -> list[Any]:
        """The workers' addresses, in order of rank; whoever fails first is named."""
        import ray

        waiting = {reference: rank for rank, reference in enumerate(references)}
        deadline = time.monotonic() + self._patience.phase
        while waiting:
            ready, _ = ray.wait(list(waiting), num_returns=1, timeout=deadline - time.monotonic())
            if not ready:
                rank = min(waiting.values())
                seconds = self._patience.phase
                raise self._hung(rank, f"did not load its framework within {seconds:g} s", "")
            try:
                ray.get(ready[0])
            except Exception as error:
                raise self._worker_error({waiting[ready[0]]: error}) from error
            del waiting[ready[0]]
        return list(ray.get(references))

    def _follow(self, streams: list[Any]) -> Iterator[Report]:
        """Yield rank 0's reports until all ranks have ended."""
        import ray

        ranks = {id(stream): rank for rank, stream in enumerate(streams)}
        running, pulses = list(streams), Pulses(self._actors)
        while running:
            ready, _ = ray.wait(running, num_returns=1, timeout=0.5)
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
            left = {ranks[id(stream)] for stream in running}
            alive = {rank: pulse for rank, pulse in pulses.look().items() if rank in left}
            if verdict := hung(alive, self._patience):
                raise self._hung(*verdict, self._stacks(alive))

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

    def _hung(self, rank: int, what: str, detail: str) -> AttemptError:
        message = f"{self._who(rank)} {what}"
        return AttemptError(message, Cause.HUNG, rank, what=what, detail=detail)

    def _stacks(self, ranks: Iterable[int]) -> str:
        """Where the workers that still answer are: the last lines of their tracebacks."""
        import ray

        asked = {
            rank: self._actors[rank].stack.options(concurrency_group="control").remote()
            for rank in ranks
        }
        ready, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=_STACK_SECONDS)
        texts = []
        for rank, reference in asked.items():
            with contextlib.suppress(ray.exceptions.RayError):
                if reference in ready and (lines := ray.get(reference).rstrip().splitlines()):
                    texts.append("\n".join([f"worker {rank} is in", *lines[-_STACK_LINES:]]))
        return "\n".join(texts)

    def _who(self, rank: int) -> str:
        return f"{TITLES[self._framework]} worker {rank} of {self.allocation.workers}"

    def _worker_error(self, failed: dict[int, Exception]) -> ToolkitError:
        rank, error = min(failed.items(), key=lambda item: (suspicion(item[1]), item[0]))
        if (own := own_error(error)) is not None:
            return own
        log, cause = self._log(rank), cause_of(error)
        place = f"; its output is in {log}" if log and log.exists() else ""
        if not died(error):
            raised = as_host_error(unwrap(error))
            message = f"{self._who(rank)} failed: {raised}{place}"
            return AttemptError(message, cause, rank, what=str(raised), detail=raised.detail)
        told = "died (killed or crashed)" if cause is Cause.DIED else cause.value
        detail = (tail(log) if log else "") or str(error)
        message = f"{self._who(rank)} {told}{place}"
        return AttemptError(message, cause, rank, what=told, detail=detail)

    def _call_error(self, error: Exception, rank: int, log: Path) -> ToolkitError:
        cause = as_host_error(unwrap(error))
        log.write_text(f"{cause}\n{cause.detail}\n")
        if died(error):
            own = self._log(rank)
            return HostError("the process died", detail=tail(own) if own else "")
        return cause


def put(value: Any) -> Any:
    """Place a value once in Ray's shared memory; workers map it instead of copying."""
    import ray

    return ray.put(value)
