"""What a ring all-reduce costs, on paper. Pure: numbers in, numbers out.

N workers pass N-th parts of the gradient round a ring, N - 1 times to add and N - 1 times to share:

    seconds = 2 (N - 1) latency + 2 (N - 1) / N bytes / bandwidth

Nothing of it is taken to overlap with computing, which DDP does with all but the last bucket.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """Between two neighbours of the ring.

    Attributes:
        latency: seconds of the shortest message.
        bandwidth: bytes a second of a long one, adding included.
    """

    latency: float
    bandwidth: float

    @classmethod
    def between_two(cls, short: float, long: float, long_bytes: int) -> "Link":
        """From the seconds that two workers took for a short and for a long all-reduce."""
        return cls(latency=short / 2, bandwidth=long_bytes / max(long - short, 1e-9))


def seconds(workers: int, gradient_bytes: int, link: Link) -> float:
    """Of one all-reduce."""
    hops = 2 * (workers - 1)
    return hops * link.latency + hops / workers * gradient_bytes / link.bandwidth


def efficiency(workers: int, compute_seconds: float, gradient_bytes: int, link: Link) -> float:
    """Share of the time that workers compute, where each computes `compute_seconds` a step."""
    return compute_seconds / (compute_seconds + seconds(workers, gradient_bytes, link))
