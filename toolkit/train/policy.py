"""What to do when workers fail, hang, or come and go. Pure: what happened in, a decision out.

`toolkit.train.supervisor` acts on it.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.train.control import Beat


class Cause(enum.Enum):
    """Why an attempt ended."""

    DIED = "died"
    RAISED = "raised an error"
    HUNG = "hung"
    MEMORY = "ran out of memory"
    NODE = "was lost with its machine"


@dataclass(frozen=True)
class Failure:
    """One attempt's end.

    Attributes:
        cause: of the worker that is to blame.
        rank: of that worker.
        step: optimizer steps done when it happened, as far as the driver knows.
        progressed: whether this attempt trained at all.
        message: what happened, without the rank, such as the exception's text.
    """

    cause: Cause
    rank: int
    step: int
    progressed: bool
    message: str


def reason_to_give_up(failures: Sequence[Failure], allowed: int) -> str | None:
    """Why training should end after the last of `failures`; None to start again.

    An error that comes at once, or again the same, is a mistake in a program or in data: starting
    again would only repeat it. A machine that is lost or a process that is killed is not.
    """
    last = failures[-1]
    if last.cause is Cause.RAISED and not last.progressed:
        return "it failed before it trained a step"
    before = failures[-2] if len(failures) > 1 else None
    same = before is not None and (before.cause, before.message) == (last.cause, last.message)
    if last.cause is Cause.RAISED and same:
        return "it failed in the same way twice"
    if len(failures) > allowed:
        times = f"{len(failures)} failures" if len(failures) > 1 else "1 failure"
        return f"{times}, and --max-failures is {allowed}"
    return None


@dataclass(frozen=True)
class Patience:
    """How long a worker may be silent or stuck, in seconds.

    Attributes:
        silence: without any answer while steps are trained: the process is stopped or its machine
            is out of reach.
        busy: without any answer in other phases, where one long call may block the process.
        stall: least time for a chunk of steps; longer where chunks have taken long before.
        factor: how many times the slowest chunk so far a chunk may take.
        tick: for a batch of a validation.
        phase: for any other phase to end: compiling, saving, a user's callback.
    """

    silence: float = 10.0
    busy: float = 60.0
    stall: float = 20.0
    factor: float = 10.0
    tick: float = 60.0
    phase: float = 600.0

    def allows(self, beat: Beat) -> float:
        """Seconds that a worker may take to get on from what it is doing."""
        if beat.doing == "steps":
            return max(self.stall, self.factor * beat.slowest)
        return self.tick if beat.doing == "validation" else self.phase


@dataclass(frozen=True)
class Pulse:
    """What the driver knows of a worker: its last beat, and how long ago it came, in seconds."""

    beat: Beat
    age: float


def hung(pulses: Mapping[int, Pulse], patience: Patience) -> tuple[int, str] | None:
    """The rank that hangs, and what it shows; None while all is well.

    A worker that does not even answer is to blame before one that answers and waits: that one may
    only wait for it. Among those that wait, the one that got on least recently is named.
    """
    silent = {
        rank: pulse.age
        for rank, pulse in pulses.items()
        if pulse.age > (patience.silence if pulse.beat.doing == "steps" else patience.busy)
    }
    if silent:
        rank = max(silent, key=lambda each: silent[each])
        return rank, f"has not answered for {silent[rank]:.0f} s"
    beats = {rank: pulse.beat for rank, pulse in pulses.items()}
    stuck = {rank: beat for rank, beat in beats.items() if beat.seconds > patience.allows(beat)}
    if stuck:
        rank = max(stuck, key=lambda each: stuck[each].seconds)
        beat = stuck[rank]
        return (
            rank,
            f"has not got on for {beat.seconds:.0f} s after step {beat.step} ({beat.doing})",
        )
    return None
