"""Ray's exceptions as causes that the failure policy knows, and as errors that help a user."""

from typing import Any

from toolkit.errors import ToolkitError, WorkerError
from toolkit.hosts import HostError, as_host_error
from toolkit.train.policy import Cause

# What a collective says when its peer is gone: the symptom, not the cause.
_PEER_LOST = (
    "UnavailableError",
    "Connection closed by peer",
    "Connection reset",
    "Broken pipe",
    "Socket closed",
)


class AttemptError(WorkerError):
    """A worker raised, died or hangs; the policy decides what follows.

    Args:
        message: what happened, and to which worker.
        cause: why the attempt ended.
        rank: of the worker.
        what: what happened, without the worker, so that equal failures can be seen.
        detail: a traceback or the last lines of a log.
    """

    def __init__(
        self, message: str, cause: Cause, rank: int, *, what: str, detail: str = ""
    ) -> None:
        super().__init__(message, detail=detail)
        self.cause, self.rank, self.what = cause, rank, what


def unwrap(error: Exception) -> Exception:
    """The exception a worker raised, out of Ray's wrapping."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, Exception) else error


def own_error(error: Exception) -> ToolkitError | None:
    """The toolkit's own error that a worker raised, such as RecipeError; None for any other."""
    cause = as_host_error(unwrap(error))
    return None if isinstance(cause, HostError) or died(error) else cause


def cause_of(error: Exception) -> Cause:
    """Why a worker failed, from what Ray raised for it."""
    from ray.exceptions import OutOfMemoryError

    if isinstance(error, OutOfMemoryError) or isinstance(unwrap(error), MemoryError):
        return Cause.MEMORY
    if not died(error):
        memory = str(as_host_error(unwrap(error))).startswith("MemoryError")
        return Cause.MEMORY if memory else Cause.RAISED
    text = str(error)
    if "OutOfMemory" in text or "low on memory" in text:
        return Cause.MEMORY
    lost = "node has died" in text or "node is dead" in text or "node was terminated" in text
    return Cause.NODE if lost else Cause.DIED


def died(error: Exception) -> bool:
    """Whether the process is gone, rather than having raised."""
    from ray.exceptions import OutOfMemoryError, RayActorError, WorkerCrashedError

    return isinstance(error, RayActorError | WorkerCrashedError | OutOfMemoryError)


def suspicion(error: Exception) -> int:
    """0 for a dead worker, 1 for one that raised, 2 for one that only lost its peer."""
    if died(error):
        return 0
    cause: Any = unwrap(error)
    text = f"{type(cause).__name__} {error} {getattr(cause, 'detail', '')}"
    return 2 if any(symptom in text for symptom in _PEER_LOST) else 1
